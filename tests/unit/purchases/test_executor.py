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
    VideoDBOutcomeUnknownError,
    VideoDBPurchaseUnknownError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.purchases import executor
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from tests.support.checkouts import LINK, YESTERDAY, after, answered, asked, expired, listed, made
from tests.support.worlds import ACCOUNT, IDENTITY, LOOK, OWNER, POST_TIMEOUT, World

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout


KEY = idempotency_key(*IDENTITY, 0, 50)
LOST = VideoDBOutcomeUnknownError("The answer was lost.")


def errors_of(*errors: type[VideoDBAPIError]) -> list[Any]:
    return [pytest.param(error("It went wrong."), id=error.__name__) for error in errors]


def test_intent_then_post_then_checkout_then_link(world: World) -> None:
    world.answers = [answered()]
    bought = world.buys()

    # After the answer the list is read once more: it may be paid already.
    assert world.money == ["look", "save", "post", "save", "claim cs_1", "look", "save"]
    assert world.posts == [
        {
            "amount": 50,
            "currency": "usd",
            "redirect_url": "https://back.example",
            "idempotency_key": KEY,
            "at": after(LOOK).isoformat(),
        }
    ]
    assert bought == Purchase(
        generation=0,
        amount=50,
        currency="usd",
        key=KEY,
        balance_before=3.5,
        account=ACCOUNT,
        posts=(after(LOOK).isoformat(),),
        checkout_id="cs_1",
        id_source="answer",
        payment_url=LINK,
        link_shared=True,
    )
    assert world.record == bought
    assert world.claims == {"cs_1": OWNER}


def test_intent_alone_is_recorded_during_the_post(world: World) -> None:
    world.answers = [answered()]
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
            posts=(after(LOOK).isoformat(),),
            in_flight=5 + POST_TIMEOUT,
            excluded_ids=("cs_9",),
        )
    ]


@pytest.mark.parametrize(
    "error",
    errors_of(VideoDBNotSentError, VideoDBRefusedError, VideoDBAuthenticationError, VideoDBRateLimitError),
)
def test_post_without_effect_is_taken_back(world: World, error: VideoDBAPIError) -> None:
    world.answers = [error]
    with pytest.raises(VideoDBAPIError) as caught:
        world.buys()

    assert caught.value is error
    assert world.money == ["look", "save", "post", "save"]
    assert world.record is not None
    assert (world.record.posts, world.record.in_flight, world.record.has_effect) == ((), 0, False)


def test_post_without_effect_keeps_the_one_before_it(world: World) -> None:
    world.record, world.answers = asked(), [VideoDBRefusedError("400")]
    with pytest.raises(VideoDBRefusedError):
        world.buys()

    assert world.record == asked(account=ACCOUNT)


@pytest.mark.parametrize("error", errors_of(VideoDBOutcomeUnknownError, VideoDBServerError, VideoDBResponseError))
def test_lost_response_is_followed_by_a_post_with_the_same_key(
    world: World, error: VideoDBAPIError, caplog: pytest.LogCaptureFixture
) -> None:
    world.answers = [error, answered()]
    bought = world.buys()

    assert world.money == [
        *("look", "save", "post"),
        # The list settles from the end of the POST on, and a look is as old as its beginning.
        *("look", "sleep 10", "look"),
        *("save", "post", "save", "claim cs_1", "look", "save"),
    ]
    assert [post["idempotency_key"] for post in world.posts] == [KEY, KEY]
    assert bought.posts == tuple(post["at"] for post in world.posts)
    assert caplog.messages == [
        "The outcome of the POST is unknown, so the task looks for its checkout in the list. It went wrong.",
        "Reading VideoDB's list again in 10.0 s, because it may lag.",
    ]


def test_orphans_are_logged_before_the_next_post(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.answers = [LOST, answered()]
    world.meanwhile = lambda: world.entries.extend([listed("cs_7"), listed("cs_8")])
    bought = world.buys()

    assert bought.orphans == ("cs_7", "cs_8")
    assert caplog.messages[-1] == (
        "VideoDB made these checkouts, but its responses were lost: cs_7, cs_8. Nobody has their links, so they expire "
        "unpaid."
    )


@pytest.mark.parametrize(("needs", "reprices"), [([50], False), ([50], True), ([50, 49, 48, 47, 46], True)])
def test_one_try_loses_two_responses_at_most(world: World, needs: list[int], reprices: bool) -> None:
    second = VideoDBServerError("Lost again.")
    world.needs, world.answers = needs, [LOST, second]
    world.meanwhile = lambda: world.entries.append(listed(f"cs_{len(world.posts)}", amount=world.posts[-1]["amount"]))
    with pytest.raises(VideoDBServerError) as caught:
        world.buys(reprices=reprices)

    assert caught.value is second
    assert len(world.posts) == 2
    # What the looks have found is recorded for the next try.
    assert world.money[-2:] == ["look", "save"]
    assert world.record is not None
    assert world.record.orphans == ("cs_1", "cs_2")
    assert world.record.in_flight == 0


def test_unknown_action_buys_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "decide", lambda *_: "a new action")
    with pytest.raises(AssertionError, match="a new action"):
        world.buys()

    assert world.money == ["look"]


def test_lost_response_of_a_charged_card_is_paid(world: World) -> None:
    world.answers = [LOST]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))
    bought = world.buys()

    assert world.money == [
        *("look", "save", "post", "look", "sleep 10", "look"),
        *("claim cs_1", "let others claim", "save"),
    ]
    assert (bought.checkout_id, bought.paid, bought.id_source) == ("cs_1", ("cs_1",), "list")
    assert world.record == bought.receipt()


def test_card_charged_with_a_response_is_paid(world: World) -> None:
    world.answers = [answered()]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))

    assert world.buys().paid == ("cs_1",)
    assert world.money == [
        *("look", "save", "post", "save", "claim cs_1", "look"),
        # Nobody else can have seen it as its own before it was claimed, unless it was paid.
        *("let others claim", "save"),
    ]


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
    world.answers = [answered()]
    world.meanwhile = lambda: world.entries.extend([listed(made_at=after(2)), listed("cs_0", amount=20)])
    with pytest.raises(VideoDBLimitExceededError, match="withheld"):
        world.buys()

    assert world.money[-2:] == ["sleep 11", "look"]
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
        assert "look" not in world.done

    def test_purchase_of_another_account_is_left_to_a_person(self, world: World) -> None:
        world.record = asked(account="account-0")
        with pytest.raises(VideoDBPurchaseUnknownError, match="another key or address"):
            world.buys()

        assert world.posts == []
        assert world.record == asked(account="account-0")


def test_link_that_is_never_listed_is_not_shared(world: World) -> None:
    world.answers = [answered(None)]
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

    given = {"shop": world, "journal": world.executor.journal, "claims": world.executor.claims, "limits": world.limits}
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
    world.answers = [answered()]
    world.meanwhile = lambda: world.entries.extend([listed(status="completed"), listed("cs_0", "completed", amount=20)])
    bought = world.buys()

    assert bought is not None
    assert bought.paid == ("cs_1",)
    [error] = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "WAS CHARGED" in error
    assert "cs_1" in error
