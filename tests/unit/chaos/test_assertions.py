from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.assertions import assert_each_paid_once, assert_polls_are_shared

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(*seconds):
    return [BEGIN + timedelta(seconds=second) for second in seconds]


def test_payments_may_come_in_any_order():
    assert_each_paid_once(["co-1", "co-2"], ["co-2", "co-1"])


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
    ids=["a third payment", "one unpaid", "one shared", "two for one", "no result", "a lost one", "no top-ups"],
)
def test_payments_that_do_not_match_the_top_ups_fail(reported, paid):
    with pytest.raises(AssertionError):
        assert_each_paid_once(reported, paid)


def test_two_triggerers_may_poll_out_of_step_and_late():
    calls = {"usage": at(0, 1, 3, 4, 6.2, 7, 9), "checkouts": at(2, 5, 8)}

    assert_polls_are_shared(calls, interval=3, triggerers=2)


def test_one_triggerer_may_poll_half_as_often():
    assert_polls_are_shared({"usage": at(0, 3, 6.2, 9)}, interval=3, triggerers=1)

    with pytest.raises(AssertionError):
        assert_polls_are_shared({"usage": at(0, 1, 3, 4)}, interval=3, triggerers=1)


@pytest.mark.parametrize(
    "calls",
    [
        {"usage": at(0, 1, 2, 3)},
        {"usage": at(0, 3), "checkouts": at(4, 4, 4)},
        {"usage": at(0, 3), "checkouts": []},
        {},
    ],
    ids=["three pollers", "three at once", "a silent kind", "no kind"],
)
def test_polls_that_are_not_shared_fail(calls):
    with pytest.raises(AssertionError):
        assert_polls_are_shared(calls, interval=3, triggerers=2)
