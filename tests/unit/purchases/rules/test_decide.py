"""What a try of a purchase does next: tables of what is recorded, what is seen, and the action that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBLimitExceededError,
    VideoDBPurchaseUnknownError,
    VideoDBResponseError,
)
from airflow_provider_videodb.purchases.rules import candidates as matching
from airflow_provider_videodb.purchases.rules import tracking as payment
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG
from airflow_provider_videodb.purchases.rules.decide import (
    AwaitPayment,
    Fail,
    NotNeeded,
    Observation,
    Paid,
    Recheck,
    ResendPost,
    StartPurchase,
    decide,
    dollars_for,
    idempotency_key,
)
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.messages import (
    another_account_error,
    expired_error,
    missing_error,
    undecided_error,
)
from tests.support.checkouts import LINK, NOON, YESTERDAY, after, asked, expired, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

LINK_ALONE = asked(payment_url=LINK)
REFUSED = asked(posts=())
HANDED_OUT = made(link_shared=True)
MONTHLY = SpendLimits(monthly_topup_limit=Decimal(60))
FOUND = {"checkout_id": "cs_1", "id_source": "list"}
#: What VideoDB's documents do not know.
UNKNOWN_STATES = ["processing", "disputed", "Completed", ""]


def seen(*checkouts: Checkout, **rest: Any) -> Observation:
    """Return what is seen a minute after noon: all has settled, and what is called expired was so before."""
    settled = {"quiet_for": timedelta(seconds=60), "expired_for": LIST_LAG}
    return Observation(**{"amount": 50, "checkouts": checkouts, "now": after(60)} | settled | rest)


def just_sent(*checkouts: Checkout, seconds: float = 0, **rest: Any) -> Observation:
    """Return what is seen so many seconds after the POST."""
    return seen(*checkouts, now=after(seconds), quiet_for=timedelta(seconds=seconds), **rest)


def error_of(action: object, error: type[Exception]) -> str:
    assert isinstance(action, Fail)
    assert type(action.error) is error
    return str(action.error)


def test_the_times_are_those_that_the_documents_promise() -> None:
    assert timedelta(seconds=10) == LIST_LAG
    assert timedelta(minutes=5) == matching.CLOCK_SKEW
    assert timedelta(minutes=5) == matching.POST_TIME
    assert timedelta(hours=24) == matching.CHECKOUT_LIFETIME
    assert timedelta(seconds=1) == matching.DATE_STEP
    assert timedelta(seconds=60) == payment.MISSING_GRACE
    assert payment.MAX_MISSED_POLLS == 3


@pytest.mark.parametrize("entries", [[], [listed(status="completed")], [expired(), listed("cs_2", "completed")]])
def test_without_a_record_nothing_in_the_list_is_its_own(entries: list[Checkout]) -> None:
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
        (HANDED_OUT, [expired()]),
    ],
)
@pytest.mark.parametrize("reprices", [True, False])
def test_nothing_is_bought_where_nothing_more_is_needed(
    record: Purchase | None, entries: list[Checkout], reprices: bool
) -> None:
    assert decide(record, seen(*entries, amount=0, reprices=reprices)) == NotNeeded()


@pytest.mark.parametrize(
    ("record", "entries", "action"),
    [
        (made(), [listed()], AwaitPayment(purchase=made())),
        (HANDED_OUT, [], AwaitPayment(purchase=HANDED_OUT)),
        (made(paid=("cs_1",)), [], Paid(purchase=made(paid=("cs_1",)).marked_paid(["cs_1"], at=after(60)))),
        (asked(), [listed(status="completed")], Paid(purchase=asked(**FOUND).marked_paid(["cs_1"], at=after(60)))),
    ],
)
def test_what_stands_is_gone_on_with_though_nothing_more_is_needed(
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
        (HANDED_OUT, [listed(status="completed")], ("cs_1",)),
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
def test_once_anything_of_it_is_paid_it_is_done(
    record: Purchase, entries: list[Checkout], paid: tuple[str, ...]
) -> None:
    # It neither settles nor meets a limit any more.
    observation = just_sent(*entries, limits=SpendLimits(max_topup_amount=Decimal(1), monthly_topup_limit=Decimal(1)))

    assert decide(record, observation) == Paid(purchase=record.marked_paid(paid, at=NOON))


def test_what_another_task_claimed_is_not_paid_as_well() -> None:
    record, entries = asked(orphans=("cs_2",)), [listed(status="completed"), listed("cs_2", "completed")]

    action = decide(record, seen(*entries, claimed_by_others=["cs_1"]))
    assert action == Paid(purchase=record.marked_paid(["cs_2"], at=after(60)))


def test_when_it_was_paid_is_when_that_was_first_seen() -> None:
    record = made(paid=("cs_1",), paid_at=YESTERDAY.isoformat())

    assert decide(record, seen()) == Paid(purchase=record)


@pytest.mark.parametrize(
    ("record", "entries"),
    [
        (made(), [listed()]),
        (made(), []),
        (HANDED_OUT, [listed()]),
        (HANDED_OUT, []),
        (made(orphans=("cs_2",)), [listed(), listed("cs_2")]),
        (made(orphans=("cs_2",)), [listed(), listed("cs_2", "expired")]),
        (made(ended={"cs_2": 20}), [listed(), listed("cs_2")]),
        (made(ended={"cs_2": 20}), [listed(), expired("cs_2")]),
        *((record, [listed(status=state)]) for record in (made(), HANDED_OUT) for state in UNKNOWN_STATES),
    ],
)
def test_a_checkout_that_is_not_paid_is_waited_for_at_once(record: Purchase, entries: list[Checkout]) -> None:
    assert decide(record, just_sent(*entries)) == AwaitPayment(purchase=record)


@pytest.mark.parametrize(
    ("record", "entry", "found"),
    [
        (made(), expired(), made()),
        (HANDED_OUT, expired(), HANDED_OUT),
        (made(orphans=("cs_2",)), expired(), made(orphans=("cs_2",))),
        (
            LINK_ALONE,
            listed(status="expired", made_at=after(-300)),
            LINK_ALONE.matched(listed()),
        ),
    ],
)
class TestWhatVideoDBCallsExpired:
    @pytest.mark.parametrize(
        ("expired_for", "seconds"),
        [(None, 10), (timedelta(0), 10), (timedelta(seconds=9.75), 0.25), (timedelta(seconds=-1), 11)],
    )
    def test_is_not_believed_at_one_look(
        self, record: Purchase, entry: Checkout, found: Purchase, expired_for: timedelta | None, seconds: float
    ) -> None:
        action = decide(record, seen(entry, expired_for=expired_for))

        # What was found of it goes into the next look, or there would be no end of looking.
        assert action == Recheck(seconds=seconds, purchase=found)

    @pytest.mark.parametrize("expired_for", [timedelta(seconds=10), timedelta(days=1)])
    @pytest.mark.parametrize("generation", [0, 4])
    def test_is_replaced_by_the_next_generation(
        self, record: Purchase, entry: Checkout, found: Purchase, expired_for: timedelta, generation: int
    ) -> None:
        record, found = replace(record, generation=generation), replace(found, generation=generation)
        a_day_later = entry.created_at + timedelta(hours=24)
        observation = seen(entry, expired_for=expired_for, now=a_day_later)

        assert decide(record, observation) == StartPurchase(after=found)

    @pytest.mark.parametrize("too_young_by", [timedelta(microseconds=1), timedelta(hours=1), timedelta(days=30)])
    def test_is_not_replaced_while_it_is_too_young(
        self, record: Purchase, entry: Checkout, found: Purchase, too_young_by: timedelta
    ) -> None:
        old_enough = entry.created_at + timedelta(hours=23, minutes=55)
        observation = seen(entry, now=old_enough - too_young_by)
        action = decide(record, observation)

        assert error_of(action, VideoDBCheckoutExpiredError) == str(
            expired_error(found, observation.listed, now=observation.now)
        )
        assert "may still be payable" in str(action.error)
        assert action == Fail(error=action.error)


@pytest.mark.parametrize(
    ("record", "now", "replaced"),
    [
        # The list tells no date: the POST was sent at noon.
        (made(), after(3600), False),
        (made(), after(24 * 3600), True),
        # Of two POSTs it may be the younger one's.
        (made(posts=(YESTERDAY.isoformat(), NOON.isoformat())), after(3600), False),
        # Nobody knows.
        (made(posts=()), after(24 * 3600), False),
    ],
)
def test_what_has_no_date_is_as_old_as_its_post(record: Purchase, now: datetime, replaced: bool) -> None:
    action = decide(record, seen(listed(status="expired", made_at=None), now=now))

    assert isinstance(action, StartPurchase) is replaced
    assert isinstance(action, Fail) is not replaced


def test_an_expired_checkout_that_is_paid_after_all_is_paid() -> None:
    assert decide(HANDED_OUT, seen(listed(status="completed"), expired_for=None)) == Paid(
        purchase=HANDED_OUT.marked_paid(["cs_1"], at=after(60))
    )


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
def test_nothing_is_asked_for_beyond_a_limit(
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
def test_a_refused_purchase_is_kept_where_it_has_begun(
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
def test_the_month_counts_before_anything_is_asked_for(
    record: Purchase | None, entries: list[Checkout], refused: bool
) -> None:
    action = decide(record, seen(*entries, limits=MONTHLY))

    assert isinstance(action, StartPurchase | ResendPost) is not refused
    if refused:
        assert "(monthly_topup_limit)" in error_of(action, VideoDBLimitExceededError)


class TestBeforeALinkIsHandedOut:
    @pytest.mark.parametrize(
        ("record", "observation", "action"),
        [
            (made(), just_sent(listed(), limits=MONTHLY), Recheck(seconds=11)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=10), Recheck(seconds=1)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=10.75), Recheck(seconds=0.25)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=11), AwaitPayment(purchase=made())),
            # A list that does not show it yet may hide what is earlier as well.
            (made(), just_sent(limits=MONTHLY, seconds=11), Recheck(seconds=5)),
            (made(), just_sent(limits=MONTHLY, seconds=59.9), Recheck(seconds=5)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=60), AwaitPayment(purchase=made())),
            # Without a monthly limit there is nothing to look for.
            (made(), just_sent(limits=SpendLimits(max_topup_amount=Decimal(50))), AwaitPayment(purchase=made())),
            (made(), just_sent(limits=SpendLimits()), AwaitPayment(purchase=made())),
            (HANDED_OUT, just_sent(listed(), limits=MONTHLY), AwaitPayment(purchase=HANDED_OUT)),
        ],
    )
    def test_the_month_is_looked_at_once_what_is_earlier_must_show(
        self, record: Purchase, observation: Observation, action: object
    ) -> None:
        assert decide(record, observation) == action

    @pytest.mark.parametrize(
        ("entries", "withheld"),
        [
            ([listed(), listed("cs_2", amount=10, made_at=after(-1))], False),
            ([listed(), listed("cs_2", amount=11, made_at=after(-1))], True),
            ([listed(), listed("cs_2", amount=11, made_at=after(1))], False),
            # Called expired before its time, it may still be paid.
            ([listed(), listed("cs_2", "expired", amount=11, made_at=after(-1))], True),
            ([listed(), listed("cs_2", "expired", amount=11, made_at=after(60 - 24 * 3600))], False),
            ([listed(), listed("cs_2", "completed", amount=11, made_at=after(-1))], True),
            # Of the same second, one of the two is earlier for both.
            ([listed(), listed("cs_0", amount=11)], True),
            ([listed(), listed("cs_2", amount=11)], False),
            ([listed(), listed(None, amount=11)], True),
            # What has no date may be earlier than all that has.
            ([listed(), listed("cs_2", amount=11, made_at=None)], True),
            ([listed(made_at=None), listed("cs_2", amount=11)], True),
            ([listed(made_at=None), listed("cs_0", amount=11, made_at=None)], True),
        ],
    )
    def test_the_later_ones_of_those_that_break_the_limit_do(self, entries: list[Checkout], withheld: bool) -> None:
        action = decide(made(), seen(*entries, limits=MONTHLY))

        assert isinstance(action, Fail) is withheld
        if not withheld:
            assert action == AwaitPayment(purchase=made())

    @pytest.mark.parametrize(
        ("own", "now", "withheld"),
        [
            (
                listed(made_at=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
                datetime(2026, 2, 1, 0, 1, tzinfo=UTC),
                True,
            ),
            (listed(made_at=datetime(2026, 2, 1, tzinfo=UTC)), datetime(2026, 1, 31, 23, 59, tzinfo=UTC), False),
            # Where it has no date, our own clock has to do.
            (listed(made_at=None), datetime(2026, 1, 31, 23, 59, tzinfo=UTC), True),
            (listed(made_at=None), datetime(2026, 2, 1, 0, 1, tzinfo=UTC), False),
        ],
    )
    def test_the_month_is_that_of_videodbs_clock(self, own: Checkout, now: datetime, withheld: bool) -> None:
        observation = seen(own, listed("cs_2", amount=11), now=now, limits=MONTHLY)

        assert isinstance(decide(made(), observation), Fail) is withheld

    def test_a_list_that_never_shows_it_withholds_the_link_for_the_next_try(self) -> None:
        action = decide(made(), seen(listed("cs_2", amount=10), limits=MONTHLY))

        error_of(action, VideoDBCheckoutMissingError)
        assert action == Fail(error=action.error, purchase=made())

    @pytest.mark.parametrize("limits", [SpendLimits(max_topup_amount=Decimal(49)), SpendLimits(max_amount=49)])
    def test_a_limit_that_was_lowered_after_the_post_withholds_the_link(self, limits: SpendLimits) -> None:
        action = decide(made(), just_sent(listed(), limits=limits))

        assert "withheld" in error_of(action, VideoDBLimitExceededError)
        assert action == Fail(error=action.error, purchase=made())
        assert decide(HANDED_OUT, just_sent(listed(), limits=limits)) == AwaitPayment(purchase=HANDED_OUT)

    def test_a_limit_in_usd_that_came_after_the_post_withholds_a_link_in_another_currency(self) -> None:
        action = decide(made(currency="eur"), just_sent(limits=SpendLimits(max_topup_amount=Decimal(1000))))

        assert "50 EUR cannot be compared" in error_of(action, VideoDBLimitExceededError)

    @pytest.mark.parametrize("checkout_id", ["0", "AA", "cs_1"])
    def test_what_has_no_id_is_the_earliest_of_its_second(self, checkout_id: str) -> None:
        entries = [listed(checkout_id), listed(None, amount=11)]

        assert isinstance(decide(made(checkout_id=checkout_id), seen(*entries, limits=MONTHLY)), Fail)

    def test_a_withheld_link_is_kept_and_the_error_says_what_becomes_of_it(self) -> None:
        action = decide(made(), seen(listed(), listed("cs_0", amount=20), limits=MONTHLY))

        assert error_of(action, VideoDBLimitExceededError) == (
            "50 USD more would make 70 USD this month (2026-01, UTC); the connection allows 60 USD "
            "(monthly_topup_limit). 20 USD in 1 checkout count already. Checkout cs_1 over 50 USD was made, but its "
            "link is withheld: it stays unpaid and expires by itself. Next step: wait for the next month or until open "
            "checkouts have expired (24 hours), or ask whoever owns the connection to raise monthly_topup_limit."
        )
        assert action == Fail(error=action.error, purchase=made())


class TestALinkWithoutAnId:
    @pytest.mark.parametrize(
        ("observation", "action"),
        [
            (just_sent(listed()), Recheck(seconds=10)),
            (just_sent(seconds=9.5), Recheck(seconds=0.5)),
            (just_sent(listed(), seconds=10), AwaitPayment(purchase=LINK_ALONE.matched(listed()))),
            (seen(listed(), listed("cs_2", amount=20)), AwaitPayment(purchase=LINK_ALONE.matched(listed()))),
            (
                seen(listed(), listed("cs_2"), claimed_by_others=["cs_2"]),
                AwaitPayment(purchase=LINK_ALONE.matched(listed())),
            ),
            (
                seen(listed(status="completed")),
                Paid(purchase=LINK_ALONE.matched(listed()).marked_paid(["cs_1"], at=after(60))),
            ),
            (seen(listed(status="processing")), AwaitPayment(purchase=LINK_ALONE.matched(listed()))),
            (just_sent(listed(), seconds=10, limits=MONTHLY), Recheck(seconds=1)),
        ],
    )
    def test_is_that_of_the_one_checkout_it_can_be(self, observation: Observation, action: object) -> None:
        assert decide(LINK_ALONE, observation) == action

    @pytest.mark.parametrize(
        "observation", [seen(), seen(listed("cs_2", amount=20)), seen(listed(), claimed_by_others=["cs_1"])]
    )
    def test_is_missing_where_there_is_none(self, observation: Observation) -> None:
        action = decide(LINK_ALONE, observation)

        assert error_of(action, VideoDBCheckoutMissingError) == str(missing_error(LINK_ALONE))
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize("status", ["pending", "completed", "expired"])
    def test_cannot_be_told_where_there_are_two(self, status: str) -> None:
        action = decide(LINK_ALONE, seen(listed(), listed("cs_2", status)))

        assert f"cs_2: 50 usd, {status}" in error_of(action, VideoDBPurchaseUnknownError)
        assert action == Fail(error=action.error)


class TestWhatEarlierLooksHaveShown:
    PAID, UNPAID = listed(status="completed"), listed()

    @pytest.mark.parametrize(
        ("earlier", "entries"),
        [
            # Hidden, or called something else, after it was shown as paid.
            (PAID, []),
            (PAID, [UNPAID]),
            (PAID, [listed(status="expired")]),
            (PAID, [listed(status="processing")]),
            (UNPAID, [PAID]),
        ],
    )
    def test_is_paid_if_it_was_paid_once(self, earlier: Checkout, entries: list[Checkout]) -> None:
        action = decide(asked(), replace(seen(*entries), seen={"cs_1": earlier}))

        assert isinstance(action, Paid)
        assert action.purchase.paid == ("cs_1",)

    def test_is_watched_where_it_is_hidden(self) -> None:
        action = decide(asked(), replace(seen(), seen={"cs_1": self.UNPAID}))

        assert action == ResendPost(purchase=asked(orphans=("cs_1",)))

    def test_is_left_to_a_person_where_the_list_shows_no_amount(self) -> None:
        """VideoDB shows none for a subscription, and perhaps none for what was just paid."""
        action = decide(asked(), seen(listed(status="completed", amount=None)))

        assert isinstance(action, Fail)
        assert "cannot be told" in str(action.error)


class TestALostAnswer:
    @pytest.mark.parametrize(
        ("observation", "action"),
        [
            (just_sent(), Recheck(seconds=10)),
            (just_sent(listed()), Recheck(seconds=10)),
            (just_sent(listed(status="completed")), Recheck(seconds=10)),
            (just_sent(seconds=9.75), Recheck(seconds=0.25)),
            (just_sent(seconds=10), ResendPost(purchase=asked())),
            # The POST of a try that died may be under way still.
            (just_sent(seconds=-45), Recheck(seconds=55)),
        ],
    )
    def test_is_looked_into_once_the_list_must_show_it(self, observation: Observation, action: object) -> None:
        assert decide(asked(), observation) == action

    @pytest.mark.parametrize(
        ("record", "observation", "orphans"),
        [
            (asked(), seen(), ()),
            (asked(), seen(listed()), ("cs_1",)),
            (asked(), seen(listed(), listed("cs_2")), ("cs_1", "cs_2")),
            # What is called expired at one look may be paid later.
            (asked(), seen(listed(status="expired")), ("cs_1",)),
            (asked(), seen(listed(status="expired"), listed("cs_2")), ("cs_1", "cs_2")),
            (asked(), seen(listed(None)), ()),
            # Whose date or amount cannot be read may be its own.
            (asked(), seen(listed(made_at=None)), ("cs_1",)),
            (asked(), seen(listed(amount=None, unreadable=("amount",))), ("cs_1",)),
            (asked(), seen(listed(amount=None)), ()),
            (asked(), seen(listed(amount=20)), ()),
            (asked(), seen(listed(status="completed"), claimed_by_others=["cs_1"]), ()),
            (asked(), seen(listed(), listed("cs_2"), claimed_by_others=["cs_1"]), ("cs_2",)),
            (asked(excluded_ids=("cs_1",)), seen(listed(status="completed")), ()),
            (asked(orphans=("cs_2",)), seen(listed(), listed("cs_2")), ("cs_2", "cs_1")),
            (asked(orphans=("cs_2",)), seen(listed("cs_2", "expired")), ("cs_2",)),
        ],
    )
    def test_is_asked_for_again_where_nothing_was_paid(
        self, record: Purchase, observation: Observation, orphans: tuple[str, ...]
    ) -> None:
        assert decide(record, observation) == ResendPost(purchase=replace(record, orphans=orphans))

    @pytest.mark.parametrize(
        "observation",
        [
            seen(listed(status="completed")),
            seen(listed(status="completed"), listed("cs_2", "completed"), claimed_by_others=["cs_2"]),
            seen(listed(status="completed"), listed("cs_2", "completed", amount=20)),
        ],
    )
    def test_was_of_the_one_that_was_charged_at_once(self, observation: Observation) -> None:
        assert decide(asked(), observation) == Paid(purchase=asked(**FOUND).marked_paid(["cs_1"], at=after(60)))

    @pytest.mark.parametrize(
        ("record", "entries"),
        [
            (asked(), [listed(status="completed"), listed("cs_2", "completed")]),
            (asked(), [listed(status="completed"), listed("cs_2")]),
            (asked(), [listed(status="expired"), listed("cs_2", "completed")]),
            (asked(), [listed(None, "completed")]),
            (asked(), [listed(status="completed"), listed(None)]),
            (asked(), [listed(status="completed"), listed("cs_2", made_at=None)]),
            (asked(), [listed(status="completed"), listed("cs_2", amount=None, unreadable=("amount",))]),
            (asked(), [listed(None, "completed", made_at=None)]),
            (asked(orphans=("cs_1",)), [listed(made_at=after(-3600)), listed("cs_2", "completed")]),
        ],
    )
    def test_cannot_be_told_where_something_else_may_be_its_own(
        self, record: Purchase, entries: list[Checkout]
    ) -> None:
        action = decide(record, seen(*entries))

        error_of(action, VideoDBPurchaseUnknownError)
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize("state", UNKNOWN_STATES)
    @pytest.mark.parametrize("others", [[], [listed("cs_2")], [listed("cs_2", "completed")]])
    def test_waits_for_a_state_that_the_documents_know(self, state: str, others: list[Checkout]) -> None:
        undecided = listed(status=state)
        action = decide(asked(), seen(*others, undecided))

        assert error_of(action, VideoDBResponseError) == str(undecided_error(asked(), [undecided]))
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize("entries", [[], [listed()], [listed("cs_2"), listed(status="expired")]])
    def test_of_another_account_is_for_a_person_to_look_into(self, entries: list[Checkout]) -> None:
        record = asked(account="account-1")
        action = decide(record, seen(*entries, account="account-2"))

        assert error_of(action, VideoDBPurchaseUnknownError) == str(another_account_error(record))
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize(("noted", "now"), [("account-1", "account-1"), (None, "account-2"), (None, None)])
    def test_of_the_same_account_or_of_one_that_nobody_noted_is_not(self, noted: str | None, now: str | None) -> None:
        action = decide(asked(account=noted), seen(account=now))

        assert action == ResendPost(purchase=asked(account=noted))

    @pytest.mark.parametrize("entries", [[], [listed()], [listed(status="completed")]])
    @pytest.mark.parametrize("purchase", [asked(account="account-1"), asked(account="account-1", payment_url=LINK)])
    def test_of_another_account_is_not_looked_for_here(self, purchase: Purchase, entries: list[Checkout]) -> None:
        action = decide(purchase, seen(*entries, account="account-2"))

        assert isinstance(action, Fail)
        assert "another key or address" in str(action.error)

    @pytest.mark.parametrize(
        ("entries", "orphans"), [([], ()), ([listed()], ("cs_1",)), ([listed(), listed("cs_2")], ("cs_1", "cs_2"))]
    )
    @pytest.mark.parametrize("amount", [5, 49, 51, 97])
    def test_is_asked_for_over_what_is_needed_now(
        self, entries: list[Checkout], orphans: tuple[str, ...], amount: int
    ) -> None:
        observation, orphaned = seen(*entries, amount=amount), asked(orphans=orphans)

        assert decide(asked(), replace(observation, reprices=True)) == StartPurchase(after=orphaned)
        assert decide(asked(), observation) == ResendPost(purchase=orphaned)
        assert decide(asked(), replace(observation, amount=50, reprices=True)) == ResendPost(purchase=orphaned)

    def test_shows_no_post_in_flight_any_more(self) -> None:
        assert decide(asked(in_flight=35), seen()) == ResendPost(purchase=asked())
        repriced = decide(asked(in_flight=35), seen(amount=5, reprices=True))
        assert repriced == StartPurchase(after=asked())

    def test_names_what_it_may_be_and_how_to_go_on(self) -> None:
        twice = asked(posts=(after().isoformat(), after(30).isoformat()))
        action = decide(twice, seen(listed(), listed("cs_2", "completed"), listed("cs_3"), claimed_by_others=["cs_3"]))

        assert error_of(action, VideoDBPurchaseUnknownError) == (
            "A top-up of 50 USD was asked for at 2026-01-15T12:00:30+00:00 and its answer was lost or named no "
            "checkout. Whether it is one of these cannot be told: cs_1: 50 usd, pending, 2026-01-15 12:00:00+00:00; "
            "cs_2: 50 usd, completed, 2026-01-15 12:00:00+00:00. Nothing more was bought. Look at the checkouts in "
            "VideoDB's console, then either run `airflow variables set videodb_answer_0123456789abcdef CHECKOUT_ID` "
            "(it was this one) or `airflow variables set videodb_answer_0123456789abcdef buy` (none of them, buy), and "
            "clear the task."
        )


def test_what_was_refused_is_asked_for_again_at_once() -> None:
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
def test_a_shortfall_is_bought_in_whole_dollars_and_not_below_the_minimum(
    shortfall: str, usd_per_credit: str, min_amount: int, dollars: int
) -> None:
    bought = dollars_for(Decimal(shortfall), usd_per_credit=Decimal(usd_per_credit), min_amount=min_amount)
    assert (type(bought), bought) == (int, dollars)


def test_a_key_is_the_same_in_every_process_and_version() -> None:
    key = idempotency_key("dag", "run", "task", "-1", 0, 50)
    assert key == "fada3c41ebb4701019bbd786edb03d5d8ce5f9a0d6ca4b5d5f1ccd2581200bab"


def test_no_two_purchases_share_a_key() -> None:
    identities = [("a", "b", 0), ("ab", 0), ("a", "b0"), ("a", "b", 1), ("b", "a", 0)]
    assert len({idempotency_key(*identity) for identity in identities}) == len(identities)
