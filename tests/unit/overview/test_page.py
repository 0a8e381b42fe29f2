"""What the page shows of holds, changes and problems."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_videodb.api.models import Checkout, Invoice
from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.holds.journal import Note
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.overview.money import listed_checkouts
from airflow_provider_videodb.overview.page import (
    MOST_CHANGES,
    MOST_HOLDERS,
    age_of,
    changes_of,
    describe_holds,
    describe_invoices,
    describe_problem,
    reasons_of,
)
from airflow_provider_videodb.overview.pauses import Pause
from airflow_provider_videodb.overview.recorded import TaskName
from tests.support.hold_views import FIRST, HELD, MINUTE, NOW, SETTLING, URGENT, WHO, flag, view

MOMENT = datetime(2026, 11, 25, tzinfo=UTC)


def described(*flags, who=WHO, balance=None, pause=None):
    seen = view(*flags)
    reasons = reasons_of(seen, who, balance=balance, reserve=Decimal(0))
    return describe_holds(seen, who, {("held", "r"): "running"}, reasons, pause)


def checkout(status="completed", *, amount="20", made=MOMENT, currency="usd"):
    return Checkout(
        id="cs_1",
        url=None,
        amount=None if amount is None else Decimal(amount),
        currency=currency,
        status=status,
        created_at=made,
        id_source=None,
    )


def note(**fields):
    given = {"credits": 12, "spent": 9.5, "released_by": "task release"}
    given |= {"dag_id": "a", "run_id": "r", "task_id": "t", "map_index": 3}
    return Note(account="a", ended_ms=NOW, owner=("x", "y"), fields=given | fields)


def changes(notes=(), checkouts=(), *, owners=None, may_read=None):
    listed = listed_checkouts(checkouts, now=MOMENT)
    return changes_of(notes, listed, owners=owners or {}, may_read={"a": True} if may_read is None else may_read)


def test_checkout_names_the_task_that_claimed_it():
    owner = TaskName(dag_id="a", run_id="r", task_id="t")
    [shown] = changes(checkouts=[checkout()], owners={"cs_1": owner})
    assert (shown["dag_id"], shown["run_id"], shown["task_id"], shown["map_index"]) == ("a", "r", "t", -1)
    assert (shown["what"], shown["how"], shown["at"]) == ("completed", "cs_1", "2026-11-25T00:00:00Z")


@pytest.mark.parametrize("owner", [None, TaskName(dag_id="secret", run_id="r", task_id="t")])
def test_checkout_of_an_unreadable_task_has_no_name(owner):
    [shown] = changes(checkouts=[checkout()], owners={"cs_1": owner})
    assert shown["dag_id"] is None
    assert "secret" not in str(shown)


def test_holds_are_described_without_the_id_of_their_task():
    shown = described(HELD, SETTLING, FIRST, URGENT)
    assert (shown["held_credits"], shown["holders"], shown["waiting_credits"], shown["waiting"]) == (19.5, 2, 70, 2)
    assert [(one["dag_id"], one["run_state"], one["settles"]) for one in shown["holds"]] == [
        ("held", "running", None),
        ("settling", "deleted", "2026-11-25T00:01:00Z"),
    ]
    assert [(one["place"], one["dag_id"], one["priority"]) for one in shown["queue"]] == [
        (1, "urgent", 5),
        (2, "first", 0),
    ]
    assert HELD.holder not in json.dumps(shown)


def test_reason_names_the_balance_if_it_is_known():
    first = described(HELD, FIRST, balance=Decimal(30))["queue"][0]
    assert first["reason"].startswith("Waiting: 50 credits needed, 17.5 available (30 on the account, 12.5 held")
    assert described(HELD, FIRST)["queue"][0]["reason"].startswith("Waiting: 50 credits needed (12.5 held")


@pytest.mark.parametrize("balance", [None, Decimal(100)])
def test_only_a_reader_of_its_dag_learns_who_is_next(balance):
    who = {FIRST: WHO[FIRST], URGENT: WHO[URGENT]}
    urgent, first = (one["reason"] for one in described(FIRST, URGENT, who=who, balance=balance)["queue"])
    assert urgent.endswith("Place 1 of 2.")
    assert first.endswith("Place 2 of 2. Next in line: DAG urgent, run r, task t.")

    _, first = described(FIRST, URGENT, who={FIRST: WHO[FIRST]}, balance=balance)["queue"]
    assert first["reason"].endswith("Place 2 of 2.")


def test_holder_that_may_not_be_read_is_nowhere_named():
    shown = described(HELD, FIRST, URGENT, who={FIRST: WHO[FIRST]})
    assert shown["holds"][0]["dag_id"] is None
    assert "urgent" not in json.dumps(shown)
    assert "held (" not in json.dumps(shown)


def test_long_lists_are_cut_and_counted():
    held = [flag(f"dag{number}", Kind.HELD, "1", NOW - number) for number in range(MOST_HOLDERS + 5)]
    waiting = [flag(f"gate{number}", Kind.WAITING, "1", NOW - MINUTE) for number in range(MOST_HOLDERS + 7)]
    shown = described(*held, *waiting)
    assert (len(shown["holds"]), shown["holders"]) == (MOST_HOLDERS, MOST_HOLDERS + 5)
    assert (len(shown["queue"]), shown["waiting"]) == (MOST_HOLDERS, MOST_HOLDERS + 7)


def test_pause_is_described():
    shown = described(pause=Pause(until_ms=0, by="ann", reason="the invoice"))
    assert shown["paused"] == {"until": None, "by": "ann", "reason": "the invoice"}


def test_changes_come_newest_first():
    shown = changes([note()], [checkout(made=MOMENT + timedelta(hours=1)), checkout("expired", made=MOMENT)])
    assert [one["text"] for one in shown] == [
        "20 USD: paid",
        "12 credits were released, 9.5 spent",
        "20 USD: made, and expired unpaid",
    ]
    released = {name: shown[1][name] for name in ("what", "how", "dag_id", "run_id", "task_id", "map_index")}
    assert released == {
        "what": "released",
        "how": "task release",
        "dag_id": "a",
        "run_id": "r",
        "task_id": "t",
        "map_index": 3,
    }


def test_ended_hold_of_an_unreadable_dag_has_no_name():
    [one] = changes([note(released_by="released by hand by ann: secret")], may_read={})
    assert (one["dag_id"], one["run_id"], one["task_id"], one["map_index"], one["how"]) == (None, None, None, None, "")
    assert one["text"] == "12 credits were released, 9.5 spent"


def test_edited_note_breaks_nothing():
    assert changes([note(credits="many")]) == []
    [one] = changes([note(spent="much", dag_id=7)])
    assert one["text"] == "12 credits were released, nobody said what was spent"
    assert one["dag_id"] is None


def test_odd_checkouts_are_described():
    shown = changes(
        checkouts=[
            checkout("pending", amount=None),
            checkout("refunded", currency="<b>"),
            checkout(made=None),
        ]
    )
    assert [one["text"] for one in shown] == [
        "A checkout: made, not paid yet",
        "20: VideoDB lists an unknown state",
    ]


def test_only_the_newest_changes_are_shown():
    many = [checkout(made=MOMENT + timedelta(minutes=number)) for number in range(MOST_CHANGES + 5)]
    shown = changes(checkouts=many)
    assert len(shown) == MOST_CHANGES
    assert shown[0]["at"] == "2026-11-25T00:24:00Z"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/1.pdf", "https://a.example/1.pdf"),
        (None, None),
        ("javascript:alert(1)", None),
        ("https://user@a.example/", None),
    ],
)
def test_invoice_links_web_pages_only(url, shown):
    invoice = Invoice(id="in_1", amount=Decimal(20), currency="usd", status="paid\n", pdf_url=url, created_at=MOMENT)
    assert describe_invoices([invoice]) == [
        {
            "id": "in_1",
            "at": "2026-11-25T00:00:00Z",
            "amount": 20,
            "currency": "USD",
            "status": "paid?",
            "url": shown,
        }
    ]


def test_problem_has_what_happened_and_the_next_step():
    assert describe_problem(VideoDBError("It failed. Next step: try again later.")) == {
        "what": "It failed.",
        "next": "Try again later.",
    }
    assert describe_problem(VideoDBError("It failed."))["next"] == ""


def test_text_of_a_foreign_error_is_not_shown():
    assert describe_problem(ValueError("secret")) == {
        "what": "Airflow could not read this part (ValueError).",
        "next": "Look for the error in the log of the API server.",
    }


def test_age_is_never_negative():
    assert age_of(MOMENT, now=MOMENT + timedelta(seconds=90)) == 90
    assert age_of(MOMENT, now=MOMENT - timedelta(seconds=90)) == 0
