"""A pair turns automatic recharge on, and restores what it found."""

from __future__ import annotations

import json
import logging
from decimal import Decimal

import pytest

from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from tests.support.recharge import PATH, READS_BEFORE_EFFECT, Pair, clear, flags, notes, once, stored, writes

FOUND = (False, Decimal(5), Decimal(25))
SET = (True, Decimal(20), Decimal(100))


def test_cleared_setup_returns_what_it_first_found(account):
    during = []
    pair = Pair(job=once(lambda: during.append(stored(account)), lambda: clear("on")))

    assert during == [SET]
    assert pair.run.tries("on") == 2
    assert pair.run.result("on")["before"] == {"enabled": False, "threshold": 5, "amount": 25}
    assert pair.run.result("on")["changed"]
    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def test_setup_and_job_cleared_restore_what_was_first_found(account):
    Pair(job=once(lambda: clear("on", "job")))

    assert stored(account) == FOUND


def test_setup_cleared_after_outside_change_finds_that(account, log):
    pair = Pair(job=once(lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44), lambda: clear("on")))

    changed = [
        "Somebody else changed automatic recharge meanwhile.",
        "It is now on (threshold 33, amount 44 credits).",
        f"{'The last' if VARIABLES_CAN_BE_LISTED else 'This'} pipeline restores that.",
    ]
    assert "\n".join(changed) in "\n".join(log.messages)
    assert pair.run.result("on")["before"] == {"enabled": True, "threshold": 33, "amount": 44}
    assert stored(account) == (True, 33, 44)


@pytest.mark.parametrize(("method", "skip"), [("POST", 0), ("GET", 0), ("GET", 1)])
def test_teardown_that_cannot_restore_says_what_is_still_on(account, log, method, skip):
    failing = once(lambda: account.add_fault("status", method=method, path=PATH, status=503, times=None, skip=skip))
    pair = Pair(job=failing, back={"retries": 2})

    assert pair.states() == ("success", "failed", "failed")
    assert pair.run.tries("back") == 3
    error = str(pair.errors["back"][0])
    assert error.startswith("Automatic recharge may still be on (threshold 20, amount 100 credits).\n")
    assert "Automatic recharge may still be on (threshold 20, amount 100 credits)." in log.messages
    assert max(len(record.getMessage()) for record in log.records if record.levelno == logging.ERROR) <= 75
    assert ("503" in error) is (method == "GET")
    assert "This DAG run found it off (threshold 5, amount 25 credits)." in error
    assert error.count("Next step: ") == 1
    assert error.endswith("clear this task, or set automatic recharge in VideoDB's console.")
    assert list(notes()) == ["on"]


def test_teardown_is_retried_until_videodb_responds(account):
    pair = Pair(
        job=lambda: account.add_fault("status", method="POST", path=PATH, status=503, times=2), back={"retries": 2}
    )

    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert notes() == {}


@pytest.mark.parametrize("status", [401, 403])
def test_teardown_with_refused_key_fails_without_retry(account, status):
    pair = Pair(job=lambda: account.add_fault("status", path=PATH, status=status, times=None), back={"retries": 2})

    assert pair.run.tries("back") == 1
    assert "may still be on" in str(pair.errors["back"][0])
    assert pair.run.state == "failed"


def test_failed_job_fails_the_run_although_settings_are_restored(account):
    def fails() -> None:
        raise RuntimeError("the job failed")

    assert Pair(job=fails).states() == ("success", "success", "failed")
    assert stored(account) == FOUND


@pytest.mark.parametrize("kind", ["status", "drop_before", "truncated"])
def test_setup_failed_after_its_effect_is_restored(account, kind):
    account.add_fault(kind, method="GET", path=PATH, skip=READS_BEFORE_EFFECT)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert pair.run.task_state("job") == "upstream_failed"
    assert str(pair.errors["on"][0]).startswith("Automatic recharge may be on (threshold 20, amount 100 credits).")
    assert "This DAG run found it off (threshold 5, amount 25 credits)." in str(pair.errors["on"][0])
    assert writes(account) == 2
    assert stored(account) == FOUND
    assert notes() == {}


def test_setup_retry_that_cannot_read_says_what_may_be_on(account):
    account.add_fault("status", method="GET", path=PATH, skip=READS_BEFORE_EFFECT, times=None, status=503)
    pair = Pair(on={"retries": 1})

    assert all("may be on" in str(error) for error in pair.errors["on"])
    assert len(pair.errors["on"]) == 2
    assert "may still be on" in str(pair.errors["back"][0])


def test_setup_failed_before_its_effect_changes_nothing(account):
    account.add_fault("status", method="GET", path=PATH, status=503)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert "may be" not in str(pair.errors["on"][0])
    assert writes(account) == 0


@pytest.mark.parametrize("status", [402, 429])
def test_refused_setup_leaves_nothing_to_restore(account, status):
    account.add_fault("status", method="POST", path=PATH, status=status)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert (writes(account), stored(account), notes()) == (1, FOUND, {})


def test_setup_without_a_change_leaves_later_changes_alone(account):
    account.set_auto_recharge(enabled=True, threshold=20, amount=100)
    Pair(job=lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44))

    assert stored(account) == (True, 33, 44)
    assert writes(account) == 0


def test_teardown_leaves_an_outside_change_alone(account, log):
    pair = Pair(job=lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44))

    assert stored(account) == (True, 33, 44)
    assert writes(account) == 1
    assert "Somebody else changed automatic recharge meanwhile." in log.messages
    assert "It is now on (threshold 33, amount 44 credits).\nThe task leaves it so." in "\n".join(log.messages)
    assert pair.run.result("back")["changed"] is False
    assert (flags(), notes()) == ([], {})


def test_cleared_teardown_leaves_later_changes_alone(account, log):
    pair = Pair(
        afterwards=once(
            lambda: account.set_auto_recharge(enabled=True, threshold=20, amount=100), lambda: clear("back")
        )
    )

    assert pair.run.tries("back") == 2
    assert pair.run.result("back")["changed"] is False
    assert "Nothing to restore for task on." in log.messages
    assert "Automatic recharge is on (threshold 20, amount 100 credits)." in log.messages
    assert stored(account) == SET


def test_cleared_run_restores_what_it_then_finds(account):
    pair = Pair(
        afterwards=once(
            lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44),
            lambda: clear("on", "job", "back"),
        )
    )

    assert pair.run.result("on")["before"] == {"enabled": True, "threshold": 33, "amount": 44}
    assert stored(account) == (True, 33, 44)


def test_pair_that_could_not_switch_it_back_on_leaves_it_on(account, monkeypatch):
    account.set_auto_recharge(enabled=True, threshold=5, amount=25)
    monkeypatch.setenv(
        "AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(account.connection | {"extra": {"approval_above": 10}})
    )
    pair = Pair(on={"enabled": False})

    # The teardown finds nothing to restore.
    assert pair.states() == ("failed", "success", "failed")
    assert "Automatic recharge, which this pipeline would switch back on," in str(pair.errors["on"][0].__context__)
    assert stored(account) == (True, 5, 25)
    assert (writes(account), flags(), notes()) == (0, [], {})


def test_pair_that_finds_it_off_needs_no_approval(account, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(account.connection | {"extra": {"approval_above": 10}})
    )

    assert Pair(on={"enabled": False}).states() == ("success", "success", "success")
