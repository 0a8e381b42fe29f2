"""The next action of a try: tables of record, observation and action."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBLimitExceededError,
)
from airflow_provider_videodb.purchases.rules import candidates as matching
from airflow_provider_videodb.purchases.rules import tracking as payment
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG
from airflow_provider_videodb.purchases.rules.decide import (
    AwaitPayment,
    Fail,
    NotNeeded,
    Paid,
    ResendPost,
    StartPurchase,
    decide,
)
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.need import dollars_for
from tests.support.checkouts import LINK_ALONE, LINK_SHARED, NOON, YESTERDAY, after, asked, expired, listed, made
from tests.support.observations import MONTHLY, error_of, just_sent, seen

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


REFUSED = asked(posts=())
FOUND = {"checkout_id": "cs_1", "id_source": "list"}
#: What VideoDB's documents do not know.
UNKNOWN_STATES = ["processing", "disputed", "Completed", ""]


def test_documented_times_are_the_real_ones() -> None:
    assert timedelta(seconds=10) == LIST_LAG
    assert timedelta(minutes=5) == matching.CLOCK_SKEW
    assert timedelta(minutes=5) == matching.POST_TIME
    assert timedelta(hours=24) == matching.CHECKOUT_LIFETIME
    assert timedelta(seconds=1) == matching.DATE_STEP
    assert timedelta(seconds=60) == payment.MISSING_GRACE
    assert payment.MAX_MISSED_POLLS == 3


@pytest.mark.parametrize("entries", [[], [listed(status="completed")], [expired(), listed("cs_2", "completed")]])
def test_list_without_a_record_starts_a_purchase(entries: list[Checkout]) -> None:
    assert decide(None, just_sent(*entries)) == StartPurchase()


@pytest.mark.parametrize(
    ("record", "entries"),
    [
        (None, []),
        (REFUSED, []),
        (replace(REFUSED, amount=70), []),
        (asked(), []),
        (asked(), [listed()]),
        (made(), [expired()]),
        (LINK_SHARED, [expired()]),
    ],
)
@pytest.mark.parametrize("reprices", [True, False])
def test_nothing_is_bought_if_nothing_is_needed(
    record: Purchase | None, entries: list[Checkout], reprices: bool
) -> None:
    assert decide(record, seen(*entries, amount=0, reprices=reprices)) == NotNeeded()


@pytest.mark.parametrize(
    ("record", "entries", "action"),
    [
        (made(), [listed()], AwaitPayment(purchase=made())),
        (LINK_SHARED, [], AwaitPayment(purchase=LINK_SHARED)),
        (made(paid=("cs_1",)), [], Paid(purchase=made(paid=("cs_1",)).marked_paid(["cs_1"], at=after(60)))),
        (asked(), [listed(status="completed")], Paid(purchase=asked(**FOUND).marked_paid(["cs_1"], at=after(60)))),
    ],
)
def test_existing_purchase_continues_if_nothing_is_needed(
    record: Purchase, entries: list[Checkout], action: object
) -> None:
    assert decide(record, seen(*entries, amount=0)) == action


@pytest.mark.parametrize(
    ("record", "entries", "paid"),
    [
        # What is recorded needs no look.
        (made(paid=("cs_1",)), [], ("cs_1",)),
        (made(paid=("cs_1", "cs_2")), [listed()], ("cs_1", "cs_2")),
        (made(), [listed(status="completed")], ("cs_1",)),
        (LINK_SHARED, [listed(status="completed")], ("cs_1",)),
        (LINK_ALONE.matched(listed()), [listed(status="completed")], ("cs_1",)),
        # A late payment of an orphan, even one that expired in between.
        (made(orphans=("cs_2",)), [listed(), listed("cs_2", "completed")], ("cs_2",)),
        (made(orphans=("cs_2",)), [listed(status="expired"), listed("cs_2", "completed")], ("cs_2",)),
        (made(orphans=("cs_2",)), [listed("cs_2", "completed"), listed(status="completed")], ("cs_1", "cs_2")),
        # A late payment of what VideoDB had called expired, in whichever generation.
        (made(checkout_id="cs_3", ended={"cs_1": 20, "cs_2": 30}), [listed("cs_2", "completed")], ("cs_2",)),
        (
            made(checkout_id="cs_3", ended={"cs_1": 20, "cs_2": 30}),
            [listed("cs_3", "completed"), listed("cs_2", "completed"), listed(status="completed")],
            ("cs_3", "cs_1", "cs_2"),
        ),
        (made(checkout_id="cs_3", ended={"cs_1": 20}), [expired("cs_3"), listed(status="completed")], ("cs_1",)),
        (asked(ended={"cs_1": 20}), [listed(status="completed", amount=20)], ("cs_1",)),
        (asked(posts=(), ended={"cs_1": 20}), [listed(status="completed", amount=20)], ("cs_1",)),
        # One that knows its checkout has no other candidates,
        (made(), [listed(status="completed"), listed("cs_2", "completed")], ("cs_1",)),
        (made(orphans=("cs_2",)), [listed("cs_2", "completed"), listed("cs_3", "completed")], ("cs_2",)),
        # one that does not reports what else may be its own.
        (asked(orphans=("cs_2",)), [listed("cs_2", "completed")], ("cs_2",)),
        (asked(orphans=("cs_2",)), [listed(status="completed"), listed("cs_2", "completed")], ("cs_2", "cs_1")),
        (asked(orphans=("cs_2",)), [listed(), listed("cs_2", "completed"), listed(None, "completed")], ("cs_2",)),
        (
            asked(orphans=("cs_2",)),
            [listed(status="completed", made_at=after(-3600)), listed("cs_2", "completed")],
            ("cs_2",),
        ),
    ],
)
def test_purchase_is_paid_once_anything_of_it_is(
    record: Purchase, entries: list[Checkout], paid: tuple[str, ...]
) -> None:
    # It neither settles nor meets a limit any more.
    observation = just_sent(*entries, limits=SpendLimits(max_topup_amount=Decimal(1), monthly_topup_limit=Decimal(1)))

    assert decide(record, observation) == Paid(purchase=record.marked_paid(paid, at=NOON))


def test_checkout_claimed_by_another_task_is_not_paid_as_well() -> None:
    record, entries = asked(orphans=("cs_2",)), [listed(status="completed"), listed("cs_2", "completed")]

    action = decide(record, seen(*entries, claimed_by_others=["cs_1"]))
    assert action == Paid(purchase=record.marked_paid(["cs_2"], at=after(60)))


def test_payment_time_is_when_it_was_first_seen() -> None:
    record = made(paid=("cs_1",), paid_at=YESTERDAY.isoformat())

    assert decide(record, seen()) == Paid(purchase=record)


@pytest.mark.parametrize(
    ("record", "entries"),
    [
        (made(), [listed()]),
        (made(), []),
        (LINK_SHARED, [listed()]),
        (LINK_SHARED, []),
        (made(orphans=("cs_2",)), [listed(), listed("cs_2")]),
        (made(orphans=("cs_2",)), [listed(), listed("cs_2", "expired")]),
        (made(ended={"cs_2": 20}), [listed(), listed("cs_2")]),
        (made(ended={"cs_2": 20}), [listed(), expired("cs_2")]),
        *((record, [listed(status=state)]) for record in (made(), LINK_SHARED) for state in UNKNOWN_STATES),
    ],
)
def test_unpaid_checkout_is_waited_for_at_once(record: Purchase, entries: list[Checkout]) -> None:
    assert decide(record, just_sent(*entries)) == AwaitPayment(purchase=record)


@pytest.mark.parametrize(
    ("record", "entries", "amount", "refused"),
    [
        (None, [], 50, False),
        (None, [], 51, True),
        (made(amount=51), [expired()], 50, False),
        (made(amount=50), [expired()], 51, True),
        # A purchase that has begun keeps its amount, whatever the try asks for.
        (REFUSED, [], 51, False),
        (replace(REFUSED, amount=51), [], 50, True),
        (asked(), [listed()], 51, False),
        (asked(amount=51), [listed(amount=51)], 50, True),
    ],
)
def test_purchase_beyond_a_limit_is_not_sent(
    record: Purchase | None, entries: list[Checkout], amount: int, refused: bool
) -> None:
    action = decide(record, seen(*entries, amount=amount, limits=SpendLimits(max_topup_amount=Decimal(50))))

    assert isinstance(action, StartPurchase | ResendPost) is not refused
    if refused:
        assert "51 USD is more than the connection allows" in error_of(action, VideoDBLimitExceededError)


@pytest.mark.parametrize(
    ("record", "entries", "kept"),
    [
        (None, [], None),
        (made(), [expired()], None),
        (REFUSED, [], REFUSED),
        # What is known of orphans by now is not forgotten.
        (asked(), [listed()], asked(orphans=("cs_1",))),
    ],
)
def test_refused_purchase_is_kept_once_it_has_begun(
    record: Purchase | None, entries: list[Checkout], kept: Purchase | None
) -> None:
    action = decide(record, seen(*entries, limits=SpendLimits(max_amount=49)))

    assert isinstance(action, Fail)
    assert action.purchase == kept


@pytest.mark.parametrize(
    ("record", "entries", "refused"),
    [
        (None, [listed("cs_2", amount=10)], False),
        (None, [listed("cs_2", amount=11)], True),
        (None, [listed("cs_2", amount=11, made_at=after(-3600 * 24 * 20))], False),
        (made(), [expired(), listed("cs_2", amount=11)], True),
        (REFUSED, [listed("cs_2", amount=11)], True),
        # Its own orphan counts: a card may still be charged for it.
        (asked(), [listed()], True),
        (asked(), [], False),
    ],
)
def test_month_counts_before_anything_is_sent(record: Purchase | None, entries: list[Checkout], refused: bool) -> None:
    action = decide(record, seen(*entries, limits=MONTHLY))

    assert isinstance(action, StartPurchase | ResendPost) is not refused
    if refused:
        assert "(monthly_topup_limit)" in error_of(action, VideoDBLimitExceededError)


def test_rejected_purchase_is_sent_again_at_once() -> None:
    assert decide(REFUSED, just_sent(listed(status="completed"))) == ResendPost(purchase=REFUSED)


@pytest.mark.parametrize(
    ("shortfall", "usd_per_credit", "min_amount", "dollars"),
    [
        ("50", "1", 1, 50),
        ("50.01", "1", 1, 51),
        ("0.01", "1", 1, 1),
        ("3", "1", 10, 10),
        ("10", "1", 10, 10),
        ("10.5", "1", 10, 11),
        ("100", "0.015", 1, 2),
        ("200", "0.015", 1, 3),
        ("3", "0.1", 0, 1),
        ("0", "1", 0, 0),
        # Floats would make 8 of it.
        ("100", "0.07", 1, 7),
    ],
)
def test_shortfall_is_bought_in_whole_dollars(
    shortfall: str, usd_per_credit: str, min_amount: int, dollars: int
) -> None:
    bought = dollars_for(Decimal(shortfall), usd_per_credit=Decimal(usd_per_credit), min_amount=min_amount)
    assert (type(bought), bought) == (int, dollars)
