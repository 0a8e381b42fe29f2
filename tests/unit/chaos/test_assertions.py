"""`make distributed` says what was not as promised: each promise can be broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.assertions import verdict
from tests.chaos.evidence import Account, Ended, Evidence, Outage, TriggererKill, Window, WorkerKill

WORKER = "a worker was killed while it bought"
AWAY = "VideoDB was away for 30 s"
TRIGGERER = "a triggerer was killed under waiting tasks"
SUCCEEDED = "every task succeeded"
PAID = "account one: one purchase paid per top-up"
POLLS = "at most 2 requests per interval and stream, of 2 triggerers"
LOOPBACK = "nothing listens beyond this machine"
ALL = {WORKER, AWAY, TRIGGERER, SUCCEEDED, PAID, POLLS, LOOPBACK}

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(*seconds):
    return [BEGIN + timedelta(seconds=second) for second in seconds]


def window(**changes):
    # Two triggerers, which began at different moments, and of which one is late once.
    calls = {"usage of one": at(0, 1, 3, 4, 6.2, 7, 9), "checkouts of one": at(2, 5, 8)}
    return replace(Window(triggerers=2, seconds=10, interval=3, started=0, calls=calls), **changes)


@pytest.fixture
def seen():
    """What a run leaves behind that went as it should."""
    return Evidence(
        expected={"top_up": 2, "gate": 1},
        ended=[
            Ended(task_id="top_up", state="success", tries=1),
            Ended(task_id="top_up", state="success", tries=3),
            Ended(task_id="gate", state="success", tries=1),
        ],
        accounts=[Account(name="one", reported=["co-1", "co-2"], paid=["co-2", "co-1"], unpaid=1)],
        worker_kill=WorkerKill(tasks=3, lost_answers=3),
        triggerer_kill=TriggererKill(waited=2, taken_over=2),
        outage=Outage(seconds=30.1, answered=0, waiting=1),
        windows=[window()],
        listening={"127.0.0.1"},
    )


def broken(seen):
    return {promise.promise for promise in verdict(seen) if not promise.kept}


def test_a_run_that_went_as_it_should_keeps_every_promise(seen):
    assert {promise.promise for promise in verdict(seen)} == ALL
    assert broken(seen) == set()


def test_what_never_happened_is_no_kept_promise():
    assert broken(Evidence(expected={"top_up": 1})) == {
        *(ALL - {PAID, POLLS}),
        "one purchase paid per top-up",
        "few requests per interval and stream",
    }


@pytest.mark.parametrize("kill", [WorkerKill(tasks=0, lost_answers=0), WorkerKill(tasks=3, lost_answers=0)])
def test_a_worker_that_was_killed_between_purchases_shows_nothing(seen, kill):
    seen.worker_kill = kill

    assert broken(seen) == {WORKER}


@pytest.mark.parametrize("changes", [{"seconds": 29.9}, {"answered": 1}, {"waiting": 0}])
def test_an_outage_is_long_enough_complete_and_under_waiting_tasks(seen, changes):
    seen.outage = replace(seen.outage, **changes)

    assert broken(seen) == {AWAY}


@pytest.mark.parametrize("kill", [TriggererKill(waited=0, taken_over=0), TriggererKill(waited=2, taken_over=1)])
def test_what_waited_on_the_killed_triggerer_is_taken_over(seen, kill):
    seen.triggerer_kill = kill

    assert broken(seen) == {TRIGGERER}


@pytest.mark.parametrize("state", ["failed", "skipped", "deferred", "upstream_failed", None])
def test_one_task_that_did_not_succeed_breaks_the_promise(seen, state):
    seen.ended[2] = Ended(task_id="gate", state=state, tries=1)

    assert broken(seen) == {SUCCEEDED}


def test_a_task_that_was_never_there_did_not_succeed(seen):
    seen.ended.pop()

    assert broken(seen) == {SUCCEEDED}


@pytest.mark.parametrize(
    ("reported", "paid"),
    [
        (["co-1", "co-2"], ["co-1", "co-2", "co-3"]),
        (["co-1", "co-2"], ["co-1"]),
        (["co-1", "co-1"], ["co-1"]),
        (["co-1", "co-1"], ["co-1", "co-2"]),
        (["co-1", None], ["co-1"]),
        (["co-1", None], ["co-1", "co-2"]),
        ([], []),
    ],
    ids=["a third payment", "one unpaid", "both the same", "a foreign one", "no result", "a lost one", "no top-ups"],
)
def test_each_top_up_has_one_payment_of_its_own(seen, reported, paid):
    seen.accounts = [replace(seen.accounts[0], reported=reported, paid=paid)]

    assert broken(seen) == {PAID}


@pytest.mark.parametrize(
    "changes",
    [
        {"calls": {"usage of one": at(0, 1, 2, 3)}},
        {"calls": {"usage of one": at(0, 3), "checkouts of one": at(4, 4, 4)}},
        {"calls": {"usage of one": at(0, 3), "checkouts of one": []}},
        {"calls": {}},
        {"started": 1},
        {"seconds": 2},
    ],
    ids=["three pollers", "in one stream", "a silent stream", "no streams", "a worker at work", "too short a look"],
)
def test_polls_are_counted_per_interval_and_stream_while_no_worker_works(seen, changes):
    seen.windows = [window(**changes)]

    assert broken(seen) == {POLLS}


def test_one_triggerer_may_ask_half_as_often(seen):
    seen.windows = [window(triggerers=1, calls={"usage of one": at(0, 3, 6.2, 9)})]
    assert broken(seen) == set()

    seen.windows = [window(triggerers=1)]
    assert broken(seen) == {"at most 1 requests per interval and stream, of one triggerer"}


@pytest.mark.parametrize("addresses", [set(), {"0.0.0.0"}, {"127.0.0.1", "::"}])
def test_another_address_than_loopback_is_noticed(seen, addresses):
    seen.listening = addresses

    assert broken(seen) == {LOOPBACK}
