"""What a gate has to buy: never what another gate or an earlier try is about to give back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from airflow_provider_videodb.holds.rules.account import Assessment, View, assess
from airflow_provider_videodb.holds.rules.records import Flag, Kind

NOW = 1_768_478_400_000
MINE = ("mine", "second")
PAUSE = Flag(account="a", holder="-", try_id="-", kind=Kind.PAUSED, credits=Decimal(0), ms=0)


def other(kind: Kind, credits: int, *, ms: int = NOW - 3_600_000, holder: str = "other") -> Flag:
    return Flag(account="a", holder=holder, try_id="t", kind=kind, credits=Decimal(credits), ms=ms)


def see(*flags: Flag, balance: int = 15, reserve: int = 0) -> Assessment:
    """Assess an account for a gate that needs 12 credits."""
    view = View(flags=flags, listed_at=NOW)
    return assess(view, Decimal(balance), reserve=Decimal(reserve), owner=MINE, credits=Decimal(12))


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (see(), 0),
        (see(reserve=5), 2),
        (see(balance=-4), 16),
        (see(other(Kind.HELD, 12)), 9),
        (see(other(Kind.HELD, 20)), 17),
        # Those ahead buy what the account does not have for them.
        (see(other(Kind.WAITING, 10)), 7),
        (see(other(Kind.WAITING, 100)), 12),
        # The first in line also buys what the account owes to holds.
        (see(other(Kind.HELD, 20), other(Kind.WAITING, 100, holder="third")), 12),
        # A purchase would not open the gate.
        (see(PAUSE, balance=0), 0),
        (replace(see(balance=0), is_complete=False), 0),
    ],
    ids=str,
)
def test_shortfall_is_what_a_purchase_has_to_add(seen: Assessment, missing: int) -> None:
    assert seen.shortfall(Decimal(12)) == missing


@pytest.mark.parametrize(("age", "missing"), [(0, 0), (59_999, 0), (60_000, 9)])
def test_gate_that_is_opening_may_give_its_credits_back(age: int, missing: int) -> None:
    """A gate takes down its place in the queue as soon as it holds."""
    opening = other(Kind.HELD, 12, ms=NOW - age), other(Kind.WAITING, 12)
    assert see(*opening).shortfall(Decimal(12)) == missing


def test_hold_of_an_earlier_try_is_not_missing() -> None:
    earlier = other(Kind.HELD, 12, holder="mine")
    assert see(earlier).shortfall(Decimal(12)) == 9
    assert see(earlier).shortfall(Decimal(12), but="mine") == 0
    assert see(earlier, balance=5).shortfall(Decimal(12), but="mine") == 7
    assert see(earlier, other(Kind.HELD, 1)).shortfall(Decimal(16), but="mine") == 2


@pytest.mark.parametrize(
    ("seen", "is_kept"),
    [
        (see(other(Kind.HELD, 12)), True),
        (see(other(Kind.HELD, 12), balance=12), True),
        (see(other(Kind.HELD, 12), balance=11), False),
        (see(other(Kind.HELD, 12), balance=12, reserve=1), False),
        (see(PAUSE, balance=0), True),
    ],
    ids=str,
)
def test_others_keep_a_gate_closed_if_the_account_has_enough(seen: Assessment, *, is_kept: bool) -> None:
    assert seen.is_kept_by_others(Decimal(12)) is is_kept
