"""A purchase of one try, call by call: in which order it polls, records, claims and sends."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBCheckoutMissingError,
    VideoDBLimitExceededError,
    VideoDBNotSentError,
    VideoDBPurchaseUnknownError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
)
from airflow_provider_videodb.purchases import executor
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from tests.support.checkouts import LINK, YESTERDAY, after, asked, expired, listed, made, responded
from tests.support.worlds import ACCOUNT, IDENTITY, OWNER, POLL, POST_TIMEOUT, World

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout


KEY = idempotency_key(*IDENTITY, 0, 50)


def errors_of(*errors: type[VideoDBAPIError]) -> list[Any]:
    return [pytest.param(error("It went wrong."), id=error.__name__) for error in errors]


def test_intent_then_post_then_checkout_then_link(world: World) -> None:
    world.responses = [responded()]
    bought = world.buys()

    # After the response the list is read once more: it may be paid already.
    assert world.money == ["poll", "save", "post", "save", "claim cs_1", "poll", "save"]
    assert world.posts == [
        {
            "amount": 50,
            "currency": "usd",
            "redirect_url": "https://back.example",
            "idempotency_key": KEY,
            "at": after(POLL).isoformat(),
        }
    ]
    assert bought == Purchase(
        generation=0,
        amount=50,
        currency="usd",
        key=KEY,
        balance_before=3.5,
        account=ACCOUNT,
        posts=(after(POLL).isoformat(),),
        checkout_id="cs_1",
        id_source="response",
        payment_url=LINK,
        link_shared=True,
        redirect_url="https://back.example",
    )
    assert world.record == bought
    assert world.claims == {"cs_1": OWNER}


def test_intent_alone_is_recorded_during_the_post(world: World) -> None:
    world.responses = [responded()]
    world.entries = [listed("cs_9", amount=20)]
    recorded: list[Purchase | None] = []
    world.meanwhile = lambda: recorded.append(world.record)
    world.buys()

    assert recorded == [
        Purchase(
            generation=0,
            amount=50,
            currency="usd",
            key=KEY,
            balance_before=3.5,
            account=ACCOUNT,
            posts=(after(POLL).isoformat(),),
            in_flight=5 + POST_TIMEOUT,
            excluded_ids=("cs_9",),
            redirect_url="https://back.example",
        )
    ]


@pytest.mark.parametrize(
    "error",
    errors_of(VideoDBNotSentError, VideoDBRefusedError, VideoDBAuthenticationError, VideoDBRateLimitError),
)
def test_post_without_effect_is_taken_back(world: World, error: VideoDBAPIError) -> None:
    world.responses = [error]
    with pytest.raises(VideoDBAPIError) as caught:
        world.buys()

    assert caught.value is error
    assert world.money == ["poll", "save", "post", "save"]
    assert world.record is not None
    assert (world.record.posts, world.record.in_flight, world.record.has_effect) == ((), 0, False)


def test_post_without_effect_keeps_the_one_before_it(world: World) -> None:
    world.record, world.responses = asked(), [VideoDBRefusedError("400")]
    with pytest.raises(VideoDBRefusedError):
        world.buys()

    assert world.record == asked(account=ACCOUNT)


def test_unknown_action_buys_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "decide", lambda *_: "a new action")
    with pytest.raises(AssertionError, match="a new action"):
        world.buys()

    assert world.money == ["poll"]


@pytest.mark.parametrize("entries", [[], [listed()], [listed("cs_2")], [expired()], [listed(status="processing")]])
@pytest.mark.parametrize("link_shared", [True, False])
def test_receipt_needs_no_list(world: World, entries: list[Checkout], link_shared: bool) -> None:
    """A cleared task does not depend on what VideoDB's list remembers."""
    receipt = made(posts=(), paid=("cs_1",), paid_at=YESTERDAY.isoformat(), link_shared=link_shared)
    world.record, world.entries = receipt, entries
    world.claim("cs_1", OWNER)

    assert world.buys() == receipt
    assert world.posts == []
    assert "save" not in world.done


def test_shared_link_is_waited_for_by_every_try(world: World) -> None:
    world.record, world.entries = made(link_shared=True), [listed()]

    assert world.buys() == made(link_shared=True)
    assert world.posts == []


@pytest.mark.parametrize(
    ("record", "limits", "kept"),
    [
        (None, SpendLimits(max_amount=49), None),
        (asked(posts=()), SpendLimits(max_amount=49), asked(posts=())),
        (asked(in_flight=5), SpendLimits(max_amount=49), asked()),
    ],
)
def test_limit_stops_a_purchase_and_keeps_its_record(
    world: World, record: Purchase | None, limits: SpendLimits, kept: Purchase | None
) -> None:
    if record is not None:
        world.record = record
    world.limits = limits
    with pytest.raises(VideoDBLimitExceededError):
        world.buys()

    assert world.record == kept
    assert world.posts == []


def test_link_that_breaks_the_month_is_not_shared(world: World) -> None:
    world.limits = SpendLimits(monthly_topup_limit=Decimal(60))
    world.responses = [responded()]
    world.meanwhile = lambda: world.entries.extend([listed(made_at=after(2)), listed("cs_0", amount=20)])
    with pytest.raises(VideoDBLimitExceededError, match="withheld"):
        world.buys()

    assert world.money[-2:] == ["sleep 11", "poll"]
    assert world.record is not None
    assert (world.record.checkout_id, world.record.link_shared) == ("cs_1", False)


class TestExistingPurchase:
    @pytest.mark.parametrize("record", [asked(), made(), made(paid=("cs_1",))])
    def test_existing_purchase_is_the_recorded_one(self, world: World, record: Purchase) -> None:
        world.record = record

        assert world.executor.load_existing() == record
        assert world.done == ["read"]

    def test_list_without_a_record_is_not_a_purchase(self, world: World) -> None:
        world.entries = [listed(status="completed")]
        world.claim("cs_1", OWNER)

        assert world.executor.load_existing() is None
        assert "poll" not in world.done

    def test_purchase_of_another_account_is_left_to_a_person(self, world: World) -> None:
        world.record = asked(account="account-0")
        with pytest.raises(VideoDBPurchaseUnknownError, match="another key or address"):
            world.buys()

        assert world.posts == []
        assert world.record == asked(account="account-0")


def test_link_that_is_never_listed_is_not_shared(world: World) -> None:
    world.responses = [responded(None)]
    with pytest.raises(VideoDBCheckoutMissingError):
        world.buys()

    assert world.record is not None
    assert world.record.link_shared is False


class TestPerPurchaseLimits:
    @pytest.mark.parametrize(
        ("limits", "name"),
        [(SpendLimits(max_topup_amount=Decimal(49)), "max_topup_amount"), (SpendLimits(max_amount=49), "max_amount")],
    )
    def test_limits_of_one_purchase_are_checked_without_a_list(
        self, world: World, limits: SpendLimits, name: str
    ) -> None:
        world.limits = limits
        world.executor.check_per_purchase_limits(49)
        with pytest.raises(VideoDBLimitExceededError, match=name):
            world.executor.check_per_purchase_limits(50)

        assert world.done == []

    def test_limits_of_one_purchase_exclude_the_month(self, world: World) -> None:
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1))
        world.executor.check_per_purchase_limits(50)


def test_executor_has_the_clock_of_this_machine_by_default(world: World) -> None:
    from airflow_provider_videodb.purchases.clock import Clock

    given = {"api": world, "journal": world.executor.journal, "claims": world.executor.claims, "limits": world.limits}
    default = executor.PurchaseExecutor(**given, current_try=world.this_try, identity=IDENTITY)  # type: ignore[arg-type]  # a table

    assert type(default.clock) is Clock
    assert (default.post_timeout, default.account) == (40, None)


@pytest.mark.parametrize(
    "limits", [{"monthly_topup_limit": 60}, {"max_topup_amount": 50, "monthly_topup_limit": 69}], ids=str
)
def test_card_charged_beyond_a_limit_is_reported(
    world: World, limits: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else has bought at the same instant, and there is no link that could be withheld."""
    world.limits = SpendLimits(**{name: Decimal(limit) for name, limit in limits.items()})
    world.responses = [responded()]
    world.meanwhile = lambda: world.entries.extend([listed(status="completed"), listed("cs_0", "completed", amount=20)])
    bought = world.buys()

    assert bought is not None
    assert bought.paid == ("cs_1",)
    [error] = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "WAS CHARGED" in error
    assert "cs_1" in error


def test_notifier_is_recorded_once_it_has_sent_the_link(world: World) -> None:
    world.record = made(link_shared=True)
    executor = world.executor
    bought = executor.load_existing()
    assert bought is not None
    for name in ("0:SlackNotifier", "1:EmailNotifier"):
        bought = executor.record(bought.notified_by(name))

    assert bought == world.record == made(link_shared=True, notified=("0:SlackNotifier", "1:EmailNotifier"))
