"""Open questions about purchases, and what a person says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_videodb.cli.answers import _outcome, _page_of
from airflow_provider_videodb.overview.recorded import TaskName
from tests.support.checkouts import asked, made
from tests.support.recorded import (
    HASHED,
    forget_records,
    put_variable,
    record_claim,
    record_purchase,
    resolutions,
    show_checkout,
)

ID = "0123456789abcdef"
NAMED = {"dag_id": "d", "run_id": "r", "task_id": "t"}


@pytest.fixture
def unknown(videodb, emulator):
    """A purchase whose response was lost, and two paid checkouts that may be its own."""
    for name in ("cs_1", "cs_2"):
        show_checkout(emulator, name, amount=50, status="completed")
    record_purchase(asked(posts=((datetime.now(UTC) - timedelta(seconds=60)).isoformat(),)), HASHED)
    return videodb


def test_open_question_is_listed_with_its_candidates(unknown):
    shown = unknown("answer").out
    assert shown.startswith(f"{ID}  the task of purchase {ID}")
    assert "cs_1: 50 USD, completed, made 20" in shown
    assert f"python -m airflow_provider_videodb answer {ID} --buy" in shown
    (question,) = json.loads(unknown("answer", "-o", "json").out)["questions"]
    assert {one["id"] for one in question["candidates"]} == {"cs_1", "cs_2"}
    assert (question["id"], question["amount"], question["resolution"]) == (ID, 50, None)


def test_without_questions_there_is_nothing_to_answer(videodb, emulator):
    record_purchase(made(paid=("cs_1",)), HASHED)
    assert videodb("answer").out == "No purchase has an unknown outcome, so there are no open questions.\n"
    assert json.loads(videodb("answer", "-o", "json").out)["questions"] == []


def test_purchase_under_way_is_announced_with_its_time(videodb, emulator):
    record_purchase(asked(posts=((datetime.now(UTC) - timedelta(seconds=20)).isoformat(),), in_flight=35), HASHED)
    ran = videodb("answer")
    assert ran.out == "No purchase has an unknown outcome, so there are no open questions.\n"
    assert re.search(
        r"A task sent its purchase a moment ago, so its outcome is not known yet. "
        r"Next step: run this command again in 2[3-5] s.",
        " ".join(ran.err.split()),
    )


def test_checkout_is_written_as_the_resolution(unknown):
    ran = unknown("answer", ID, "--checkout", "cs_1", types="y\n")
    assert ran.status == 0
    assert "The task will count it as paid and buy nothing." in ran.err
    assert "Next step: clear the task" in ran.out
    assert resolutions() == {f"videodb_resolution_{ID}": "cs_1"}
    assert "A resolution is written already: cs_1." in unknown("answer").out


def test_later_resolution_replaces_the_earlier_one(unknown):
    unknown("answer", ID, "--checkout", "cs_1", "--yes")
    ran = unknown("answer", ID, "--buy", "--yes")
    assert "This replaces the earlier resolution 'cs_1'." in ran.err
    assert "The task may buy again" in ran.err
    assert resolutions() == {f"videodb_resolution_{ID}": "buy"}


def test_no_leaves_everything_as_it_was(unknown):
    assert unknown("answer", ID, "--buy", types="n\n").status == 1
    assert unknown("answer", ID, "--buy").status == 2
    assert resolutions() == {}


def test_other_amount_is_pointed_out(unknown, emulator):
    show_checkout(emulator, "cs_20", amount=20, status="completed")
    shown = unknown("answer", ID, "--checkout", "cs_20", types="n\n").err
    assert "Its checkout is cs_20: 20 USD, completed" in shown
    assert "The amounts differ." in shown
    assert "The amounts differ." not in unknown("answer", ID, "--checkout", "cs_1", types="n\n").err


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (made(paid=("cs_1",)), "The task will count it as paid and buy nothing."),
        (made(link_shared=True), "The task will wait for the payment of the link that it has shared."),
        (asked(), "The task may buy again. It will make a new checkout of 50 USD, if it still needs the credits."),
    ],
    ids=["paid", "shared", "asked"],
)
def test_consequence_is_told_before_it_is_written(after, text):
    assert _outcome(after) == text


@pytest.mark.parametrize(
    ("base", "task", "page"),
    [
        (
            "https://a.example/",
            NAMED | {"dag_id": "d/1", "run_id": "r+1"},
            "https://a.example/dags/d%2F1/runs/r%2B1/tasks/t",
        ),
        ("http://localhost", NAMED | {"map_index": 0}, "http://localhost/dags/d/runs/r/tasks/t/mapped/0"),
        ("", NAMED, None),
        ("airflow", NAMED, None),
        ("https://a.example", None, None),
    ],
    ids=["web", "mapped", "unset", "no-scheme", "no-task"],
)
def test_page_of_the_task_can_be_opened(monkeypatch, base, task, page):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    assert _page_of(None if task is None else TaskName(**task)) == page


def test_checkout_of_another_task_is_refused(unknown, emulator):
    show_checkout(emulator, "cs_3", amount=50, status="completed")
    record_claim("cs_3")
    ran = unknown("answer", ID, "--checkout", "cs_3", "--yes")
    assert "Checkout cs_3 belongs to DAG nightly, run manual__1, task buy." in ran.err
    assert resolutions() == {}


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ((ID,), 2, "say how the purchase ended"),
        ((ID, "--buy", "--checkout", "cs_1"), 2, "say how the purchase ended"),
        (("--buy",), 2, "name the purchase by the ID"),
        ((ID, "--dag-id", "d", "--buy"), 2, "name the purchase by the ID"),
        (("--dag-id", "d", "--buy"), 2, "--run-id, --task-id are missing"),
        (("--dag-id", "d", "--run-id", "r", "--buy"), 2, "--task-id is missing"),
        (("0" * 16, "--buy"), 1, "There is no open question about purchase 0000000000000000."),
        (("--dag-id", "d", "--run-id", "r", "--task-id", "t", "--buy"), 1, "There is no open question about DAG d"),
        ((ID, "--checkout", "cs_9"), 1, "lists no checkout cs_9."),
        ((ID, "--checkout", "cs 9"), 2, "is not an id of a checkout"),
    ],
)
def test_mistake_writes_nothing(unknown, arguments, status, text):
    ran = unknown("answer", *arguments, "--yes")
    assert (ran.status, ran.out) == (status, "")
    assert text in " ".join(ran.err.split())
    assert resolutions() == {}


def test_unreadable_record_is_named(videodb, emulator):
    put_variable("videodb_purchase__a__b__c__-1__00000000", "broken")
    ran = videodb("answer")
    assert "The record of videodb_purchase__a__b__c__-1__00000000 cannot be read" in ran.err
    assert ran.status == 0


def test_resolution_of_a_changed_record_is_not_written(unknown, monkeypatch):
    def answer_of_another(_terminal):
        # Somebody else resolved it, and the cleared task has sent another POST.
        forget_records()
        again = tuple((datetime.now(UTC) - timedelta(seconds=ago)).isoformat() for ago in (60, 1))
        record_purchase(asked(posts=again), HASHED)
        return "y\n"

    monkeypatch.setattr("tests.unit.cli.conftest.Terminal.readline", answer_of_another)
    ran = unknown("answer", ID, "--buy", types="")
    assert (ran.status, ran.out) == (1, "")
    assert "has changed since you were asked" in " ".join(ran.err.split())
    assert resolutions() == {}


def test_database_that_fails_is_an_error_and_no_traceback(unknown, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OperationalError("INSERT INTO variable", {}, Exception("database is locked"))

    monkeypatch.setattr("airflow.models.variable.Variable.set", fail)
    ran = unknown("answer", ID, "--buy", "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert "database is locked" in ran.err
    assert "INSERT" not in ran.err


def test_closed_input_is_no_terminal(unknown, monkeypatch):
    monkeypatch.setattr("tests.unit.cli.conftest.Terminal", lambda _: None)
    ran = unknown("answer", ID, "--buy", types="y\n")
    assert (ran.status, ran.out) == (2, "")
    assert "give --yes" in " ".join(ran.err.split())
