"""A release ends the holds of its gate, whatever else happens."""

from __future__ import annotations

import logging
import time
from decimal import Decimal
from typing import Any

import pytest
from airflow.sdk import task_group

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.holds.rules.records import LONGEST_SETTLEMENT_MS, PREFIX, Kind
from airflow_provider_videodb.operators._release_run import ReleaseRun
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag
from tests.support.releases import LOG, Worker, context_of, logger

pytestmark = needs_listed_variables

NOTHING = {"released": 0, "counted": 0, "holds": 0}


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(ReleaseCreditsOperator, "log", logger())
    caplog.set_level(logging.INFO, LOG)
    return caplog


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    airflow = Worker()
    airflow.install(monkeypatch)
    return airflow


def release(spent: Any = None, *, is_stopped: bool = False, rendered: Any = None) -> dict[str, Any]:
    """Release the hold of `credits`; `rendered` is what the template of `spent` became."""
    with new_dag("parsed"):
        CreditThresholdSensor(task_id="credits", threshold=12, hold=True)
        task = ReleaseCreditsOperator(task_id="release", gate="credits", spent="{{ x }}" if rendered else spent)
    if rendered:
        (task.spent,) = rendered
    return ReleaseRun(task, context_of(task), is_stopped=lambda: is_stopped).release()


def test_hold_of_the_gate_ends_in_any_account(worker, log):
    worker.hold(12, account="a")
    worker.hold(3, account="~hash", index=2)
    worker.hold(5, task_id="other")

    assert release() == {"released": 15, "counted": 15, "holds": 2}
    assert worker.shown() == [(Kind.HELD, 5), (Kind.RELEASED, 3), (Kind.RELEASED, 12)]
    assert [note["released_by"] for note in worker.notes()] == ["task release"] * 2
    assert log.messages == [
        "Released 15 credits of task credits.",
        "Counted until the balance shows what was spent: 15.",
    ]


def test_second_release_has_nothing_to_do(worker, log):
    worker.hold()
    release()
    log.clear()

    assert release() == NOTHING
    assert worker.shown() == [(Kind.RELEASED, 12)]
    assert len(worker.notes()) == 1
    assert log.messages == [
        "Nothing to release for task credits.",
        "It holds no credits in this DAG run, or they are released already.",
    ]


@pytest.mark.parametrize(("minutes", "text"), [(30, None), (30, "{}"), (30, "not JSON")])
def test_settlement_time_is_that_of_the_flag(worker, minutes, text):
    flag = worker.hold(minutes=minutes)
    if text is not None:
        worker.kept[flag.key] = text
    before = int(time.time() * 1000)

    release()

    (left,) = worker.flags()
    settlement = minutes * 60_000 if text is None else LONGEST_SETTLEMENT_MS
    assert before + settlement <= left.ms <= int(time.time() * 1000) + settlement


@pytest.mark.parametrize("value", [None, "", "None"])
def test_missing_figure_is_logged_and_everything_counts(worker, log, value):
    worker.hold()

    assert release(rendered=[value]) == {"released": 12, "counted": 12, "holds": 1}
    assert log.messages[0] == "spent has no value, so all credits count until they settle."
    assert log.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("value", [-1, "many", True, [5], {"credits": 5}, float("nan")])
def test_wrong_figure_is_an_error_after_the_release(worker, value):
    worker.hold()

    with pytest.raises(VideoDBConfigError, match=r"^spent is .* Next step: correct spent"):
        release(rendered=[value])

    assert worker.shown() == [(Kind.RELEASED, 12)]


def test_figure_that_is_given_counts(worker):
    worker.hold()
    assert release(spent=5) == {"released": 12, "counted": 5, "holds": 1}
    assert worker.shown() == [(Kind.RELEASED, 5)]


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        ("1e-300", "0.00000000000000000001"),
        ("9007199254740991.0000000000000000000001", "9007199254740991.00000000000000000001"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("-0", "0"),
        ("0e-300", "0.00000000000000000000"),
        ("1e2", "100"),
    ],
)
def test_figure_fits_into_a_key_and_never_counts_too_little(worker, value, counted):
    worker.hold()
    release(spent=value)
    assert [key.split("/")[6] for key in worker.kept if key.startswith(PREFIX)] == [counted]
    assert [str(flag.credits) for flag in worker.flags()] == [str(Decimal(counted))]


def test_waiting_gate_leaves_the_queue(worker):
    flag = worker.hold()
    worker.kept[flag.key.replace("/h/", "/w/")] = worker.kept.pop(flag.key)

    assert release() == NOTHING
    assert worker.kept == {}


@pytest.mark.parametrize("fault", ["listing", "writing"])
def test_failed_store_leaves_the_hold_to_a_retry(worker, fault):
    worker.hold()
    setattr(worker, fault, ConnectionError("no API server"))
    with pytest.raises((VideoDBRecordUnreadableError, VideoDBRecordNotKeptError), match="no API server"):
        release()
    assert worker.shown() == [(Kind.HELD, 12)]

    setattr(worker, fault, None)
    assert release()["released"] == 12


@pytest.mark.parametrize("reason", ["marked", "stopped"])
def test_try_that_is_over_releases_nothing(worker, reason):
    """Frozen before its listing, it would see the hold of a later try of the gate."""
    worker.hold()
    worker.state = "success" if reason == "marked" else "running"

    with pytest.raises(VideoDBTryOverError, match=r"This try released nothing\. Next step: open the newest try"):
        release(is_stopped=reason == "stopped")

    assert worker.shown() == [(Kind.HELD, 12)]


def test_try_is_checked_after_the_listing(worker):
    worker.hold()
    release()
    questions = [type(question).__name__ for question in worker.asked]
    assert questions.index("GetVariableKeys") < questions.index("GetTaskStates") < questions.index("PutVariable")


def mapped_release(gate: str, map_index: int) -> dict[str, Any]:
    tasks: list[Any] = []
    with new_dag("parsed"):
        CreditThresholdSensor(task_id="credits", threshold=12, hold=True)

        @task_group
        def each(number: int) -> None:
            CreditThresholdSensor(task_id="credits", threshold=12, hold=True)
            tasks.append(ReleaseCreditsOperator(task_id="release", gate=gate))

        each.expand(number=[1, 2])
    return ReleaseRun(tasks[0], context_of(tasks[0], map_index=map_index), is_stopped=lambda: False).release()


def test_mapped_release_ends_the_hold_of_its_index(worker):
    for index, credits in ((0, 1), (1, 2), (10, 3)):
        worker.hold(credits, task_id="each.credits", index=index)

    assert mapped_release("each.credits", 1) == {"released": 2, "counted": 2, "holds": 1}
    assert worker.shown() == [(Kind.HELD, 1), (Kind.HELD, 3), (Kind.RELEASED, 2)]


def test_mapped_release_of_one_gate_is_a_mistake(worker):
    worker.hold()

    with pytest.raises(VideoDBConfigError, match=r"Task 'each\.release' is mapped.* Nothing was released\. Next step"):
        mapped_release("credits", 1)

    assert worker.shown() == [(Kind.HELD, 12)]
