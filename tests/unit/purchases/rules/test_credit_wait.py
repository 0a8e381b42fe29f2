"""A wait for credits ends with an open gate, a payment or a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseError
from airflow_provider_videodb.purchases.rules.credit_wait import (
    Buy,
    CreditWait,
    Gate,
    KeptByOthers,
    NotFilled,
    NotPaid,
    NotShown,
    Proceed,
    Step,
    WaitUntil,
    decide_credit_wait,
)
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from tests.support.records import purchase_of

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()
DEADLINE = NOW + 86400
SETTLE_TIMEOUT = 1800.0
PENDING = Purchase.from_dict(purchase_of("cs_1"))


def paid(at: float | None) -> Purchase:
    """Return a purchase that was paid at a moment, in seconds since 1970."""
    return PENDING.marked_paid(["cs_1"], at=None if at is None else datetime.fromtimestamp(at, UTC))


OPEN = Gate(is_open=True, missing=Decimal(0))
SHORT = Gate(is_open=False, missing=Decimal("50.5"))
#: The account has enough, but others hold it or go first.
KEPT = Gate(is_open=False, missing=Decimal("50.5"), is_kept_by_others=True)
#: Buying would not open the gate now.
PAUSED = Gate(is_open=False, missing=Decimal(0), is_kept_by_others=True)


def decide(purchase: Purchase | None, gate: Gate = SHORT, *, may_buy: bool = False, now: float = NOW) -> Step:
    wait = CreditWait(purchase=purchase, deadline=DEADLINE)
    return decide_credit_wait(wait, gate, may_buy=may_buy, settle_timeout=SETTLE_TIMEOUT, now=now)


JUST_PAID, LONG_PAID = paid(NOW), paid(NOW - SETTLE_TIMEOUT)


@pytest.mark.parametrize("purchase", [None, PENDING, JUST_PAID, LONG_PAID], ids=["none", "pending", "paid", "old"])
@pytest.mark.parametrize("may_buy", [True, False])
@pytest.mark.parametrize("now", [NOW, DEADLINE + 1])
def test_open_gate_proceeds_in_every_state(purchase: Purchase | None, may_buy: bool, now: float) -> None:
    assert decide(purchase, OPEN, may_buy=may_buy, now=now) == Proceed()


@pytest.mark.parametrize("purchase", [None, PENDING], ids=["none", "pending"])
@pytest.mark.parametrize("gate", [SHORT, KEPT], ids=["short", "held by others"])
def test_missing_credits_are_bought_exactly(purchase: Purchase | None, gate: Gate) -> None:
    assert decide(purchase, gate, may_buy=True) == Buy(missing=Decimal("50.5"))


def test_gate_that_a_purchase_would_not_open_waits() -> None:
    assert decide(None, PAUSED, may_buy=True) == WaitUntil(deadline=DEADLINE)


def test_existing_purchase_goes_on_though_nothing_is_missing() -> None:
    assert decide(PENDING, PAUSED, may_buy=True) == Buy(missing=Decimal(0))


def test_paid_purchase_is_never_followed_by_another() -> None:
    assert decide(JUST_PAID, may_buy=True) == WaitUntil(deadline=NOW + SETTLE_TIMEOUT)
    assert decide(LONG_PAID, may_buy=True) == NotShown(purchase=LONG_PAID)


@pytest.mark.parametrize(
    ("purchase", "now", "step"),
    [
        (None, NOW, WaitUntil(deadline=DEADLINE)),
        (None, DEADLINE - 0.001, WaitUntil(deadline=DEADLINE)),
        (None, DEADLINE, NotFilled()),
        (PENDING, DEADLINE - 0.001, WaitUntil(deadline=DEADLINE)),
        (PENDING, DEADLINE, NotPaid(purchase=PENDING)),
        (JUST_PAID, NOW + SETTLE_TIMEOUT - 0.001, WaitUntil(deadline=NOW + SETTLE_TIMEOUT)),
        (JUST_PAID, NOW + SETTLE_TIMEOUT, NotShown(purchase=JUST_PAID)),
        # The balance has settle_timeout to show a late payment, whatever the deadline of the payment was.
        (paid(DEADLINE), DEADLINE + 1, WaitUntil(deadline=DEADLINE + SETTLE_TIMEOUT)),
    ],
    ids=str,
)
def test_wait_ends_at_its_deadline(purchase: Purchase | None, now: float, step: Step) -> None:
    assert decide(purchase, now=now) == step


PAID_LATE = paid(DEADLINE)


@pytest.mark.parametrize(
    ("purchase", "now", "step"),
    [
        (None, DEADLINE - 0.001, WaitUntil(deadline=DEADLINE)),
        (None, DEADLINE, KeptByOthers(purchase=None)),
        # Somebody can still pay, so the link counts more than others do.
        (PENDING, DEADLINE, NotPaid(purchase=PENDING)),
        (JUST_PAID, NOW, WaitUntil(deadline=DEADLINE, recheck_at=NOW + SETTLE_TIMEOUT)),
        (LONG_PAID, NOW, WaitUntil(deadline=DEADLINE, recheck_at=NOW)),
        (LONG_PAID, DEADLINE, KeptByOthers(purchase=LONG_PAID)),
        # Others never make a wait shorter.
        (
            PAID_LATE,
            DEADLINE + 1,
            WaitUntil(deadline=DEADLINE + SETTLE_TIMEOUT, recheck_at=DEADLINE + SETTLE_TIMEOUT),
        ),
        (PAID_LATE, DEADLINE + SETTLE_TIMEOUT, KeptByOthers(purchase=PAID_LATE)),
    ],
    ids=str,
)
def test_wait_for_others_ends_at_the_deadline(purchase: Purchase | None, now: float, step: Step) -> None:
    assert decide(purchase, KEPT, now=now) == step


def test_payment_without_a_moment_counts_as_old() -> None:
    assert decide(paid(None)) == NotShown(purchase=paid(None))


def test_payment_of_a_clock_that_is_ahead_counts_as_just_made() -> None:
    assert decide(paid(NOW + 299)) == WaitUntil(deadline=NOW + SETTLE_TIMEOUT)


@pytest.mark.parametrize("ahead", [301, 3600, 10**9])
def test_payment_date_edited_into_the_future_counts_as_old(ahead: float) -> None:
    assert decide(paid(NOW + ahead)) == NotShown(purchase=paid(NOW + ahead))


@pytest.mark.parametrize(
    ("purchase", "awaits"), [(None, False), (PENDING, True), (JUST_PAID, False)], ids=["none", "pending", "paid"]
)
def test_unpaid_purchase_awaits_its_payment(purchase: Purchase | None, awaits: bool) -> None:
    assert CreditWait(purchase=purchase, deadline=DEADLINE).awaits_payment is awaits


@pytest.mark.parametrize("purchase", [None, PENDING], ids=["none", "pending"])
@pytest.mark.parametrize("buys_if_short", [True, False])
def test_wait_may_buy_once(purchase: Purchase | None, buys_if_short: bool) -> None:
    wait = CreditWait(purchase=purchase, deadline=DEADLINE, buys_if_short=buys_if_short)
    assert wait.may_buy is (purchase is None and buys_if_short)


@pytest.mark.parametrize("more", [{}, {"buys_if_short": True}, {"recheck_at": NOW + 0.5}], ids=str)
@pytest.mark.parametrize("purchase", [None, PENDING, JUST_PAID], ids=["none", "pending", "paid"])
def test_wait_survives_its_json_form(purchase: Purchase | None, more: dict[str, Any]) -> None:
    wait = CreditWait(purchase=purchase, deadline=DEADLINE, **more)
    state = json.loads(json.dumps(wait.to_dict()))

    assert state["format"] == 1
    assert CreditWait.from_dict(state) == wait


def test_fields_of_a_newer_format_are_ignored() -> None:
    wait = CreditWait(purchase=PENDING, deadline=DEADLINE)
    assert CreditWait.from_dict(wait.to_dict() | {"format": 2, "added": [1]}) == wait


def test_state_without_a_format_is_read() -> None:
    assert CreditWait.from_dict({"purchase": None, "deadline": 5}) == CreditWait(purchase=None, deadline=5.0)


GOOD: dict[str, Any] = CreditWait(purchase=PENDING, deadline=DEADLINE).to_dict()


@pytest.mark.parametrize(
    "state",
    [
        None,
        5,
        [],
        {},
        {"purchase": None},
        {"deadline": 5},
        GOOD | {"deadline": None},
        GOOD | {"deadline": "soon"},
        GOOD | {"recheck_at": "soon"},
        GOOD | {"purchase": 5},
        GOOD | {"purchase": {}},
    ],
    ids=lambda state: str(state)[:40],
)
def test_unreadable_state_is_an_error_with_next_step(state: object) -> None:
    with pytest.raises(VideoDBPurchaseError, match="cannot be read"):
        CreditWait.from_dict(state)


def test_unreadable_state_may_be_retried() -> None:
    """The retry reads the record of the purchase, which is another one."""
    with pytest.raises(VideoDBPurchaseError, match="Next step: retry") as caught:
        CreditWait.from_dict([])
    assert type(caught.value) is VideoDBPurchaseError
