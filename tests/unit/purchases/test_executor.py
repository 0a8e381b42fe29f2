"""A try of a purchase, call by call: in which order what is asked, recorded, claimed and said."""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBError,
    VideoDBLimitExceededError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBPurchaseUnknownError,
    VideoDBRateLimitError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
    VideoDBRefusedError,
    VideoDBResponseError,
    VideoDBServerError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.purchases import executor
from airflow_provider_videodb.purchases.claims import VariableClaims
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from airflow_provider_videodb.purchases.stores import VariableStore
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from tests.support.airflow_faults import FAULTS, REFUSALS
from tests.support.checkouts import LINK, NOON, YESTERDAY, after, answered, asked, expired, listed, made
from tests.support.worlds import ACCOUNT, IDENTITY, LOOK, OTHER, OWNER, POST_TIMEOUT, World

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout

KEY = idempotency_key(*IDENTITY, 0, 50)
LOST = VideoDBOutcomeUnknownError("The answer was lost.")
OVER = VideoDBTryOverError("This try is over.")
UNREADABLE = VideoDBRecordUnreadableError("Airflow could not say.")
A_DAY = timedelta(days=1)
#: A purchase of this account, of which VideoDB has shown nothing yet.
HANDED_OUT = made(link_shared=True)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made_up = World()
    made_up.install(monkeypatch)
    return made_up


@pytest.fixture(autouse=True)
def all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="airflow_provider_videodb")


def errors_of(*errors: type[VideoDBAPIError]) -> list[Any]:
    return [pytest.param(error("It went wrong."), id=error.__name__) for error in errors]


def test_the_intent_is_recorded_before_the_post_and_the_checkout_before_its_link_goes_out(world: World) -> None:
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


def test_while_the_post_is_under_way_the_intent_is_all_that_is_recorded(world: World) -> None:
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


def test_what_was_there_before_is_not_its_own_as_far_as_its_date_does_not_tell(world: World) -> None:
    minutes = timedelta(minutes=1)
    world.answers = [answered("cs_new")]
    world.entries = [
        listed("cs_now"),
        listed("cs_10", made_at=NOON - 10 * minutes),
        listed("cs_older", made_at=NOON - 10 * minutes - timedelta(microseconds=1)),
        listed("cs_ahead", made_at=NOON + 5 * minutes),
        listed(None),
        # It has no date that could tell.
        listed("cs_dateless", made_at=None),
        listed("cs_unreadable", amount=None, made_at=None, unreadable=("amount", "created_at")),
        listed(None, made_at=None),
    ]

    assert world.buys().excluded_ids == ("cs_now", "cs_10", "cs_ahead", "cs_dateless", "cs_unreadable")


@pytest.mark.parametrize(
    "error",
    errors_of(VideoDBNotSentError, VideoDBRefusedError, VideoDBAuthenticationError, VideoDBRateLimitError),
)
def test_a_post_that_did_nothing_is_taken_back(world: World, error: VideoDBAPIError) -> None:
    world.answers = [error]
    with pytest.raises(VideoDBAPIError) as caught:
        world.buys()

    assert caught.value is error
    assert world.money == ["look", "save", "post", "save"]
    assert world.record is not None
    assert (world.record.posts, world.record.in_flight, world.record.has_effect) == ((), 0, False)


def test_a_post_that_did_nothing_leaves_the_one_before_it_standing(world: World) -> None:
    world.record, world.answers = asked(), [VideoDBRefusedError("400")]
    with pytest.raises(VideoDBRefusedError):
        world.buys()

    assert world.record == asked(account=ACCOUNT)


@pytest.mark.parametrize("error", errors_of(VideoDBOutcomeUnknownError, VideoDBServerError, VideoDBResponseError))
def test_a_lost_answer_is_looked_into_once_the_list_has_settled_and_asked_for_again_with_the_same_key(
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
        "It went wrong. Looking into the list of checkouts for what it has led to.",
        "Looking at the list of checkouts again in 10.0 s, since it may lag.",
    ]


def test_the_orphans_of_lost_answers_are_named_before_it_asks_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.answers = [LOST, answered()]
    world.meanwhile = lambda: world.entries.extend([listed("cs_7"), listed("cs_8")])
    bought = world.buys()

    assert bought.orphans == ("cs_7", "cs_8")
    assert caplog.messages[-1] == (
        "Lost answers left the unpaid checkouts cs_7, cs_8 behind. Nobody has their links; they expire by themselves."
    )


@pytest.mark.parametrize(("needs", "reprices"), [([50], False), ([50], True), ([50, 49, 48, 47, 46], True)])
def test_one_try_loses_two_answers_and_leaves_the_rest_to_the_next(
    world: World, needs: list[int], reprices: bool
) -> None:
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


def test_a_step_that_it_does_not_know_buys_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "decide", lambda *_: "a new action")
    with pytest.raises(AssertionError, match="a new action"):
        world.buys()

    assert world.money == ["look"]


def test_a_lost_answer_that_was_charged_for_is_paid(world: World) -> None:
    world.answers = [LOST]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))
    bought = world.buys()

    assert world.money == [
        *("look", "save", "post", "look", "sleep 10", "look"),
        *("claim cs_1", "let others claim", "save"),
    ]
    assert (bought.checkout_id, bought.paid, bought.id_source) == ("cs_1", ("cs_1",), "list")
    assert world.record == bought.receipt()


def test_what_is_charged_at_once_with_an_answer_is_paid(world: World) -> None:
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
def test_a_receipt_needs_no_list_of_videodbs(world: World, entries: list[Checkout], link_shared: bool) -> None:
    """A cleared task does not depend on what VideoDB's list remembers."""
    receipt = made(posts=(), paid=("cs_1",), paid_at=YESTERDAY.isoformat(), link_shared=link_shared)
    world.record, world.entries = receipt, entries
    world.claim("cs_1", OWNER)

    assert world.buys() == receipt
    assert world.posts == []
    assert "save" not in world.done


def test_a_link_that_is_out_is_waited_for_by_every_try(world: World) -> None:
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
def test_what_a_limit_stops_is_recorded_where_it_had_begun(
    world: World, record: Purchase | None, limits: SpendLimits, kept: Purchase | None
) -> None:
    if record is not None:
        world.record = record
    world.limits = limits
    with pytest.raises(VideoDBLimitExceededError):
        world.buys()

    assert world.record == kept
    assert world.posts == []


def test_a_link_that_breaks_the_month_is_not_handed_out(world: World) -> None:
    world.limits = SpendLimits(monthly_topup_limit=Decimal(60))
    world.answers = [answered()]
    world.meanwhile = lambda: world.entries.extend([listed(made_at=after(2)), listed("cs_0", amount=20)])
    with pytest.raises(VideoDBLimitExceededError, match="withheld"):
        world.buys()

    assert world.money[-2:] == ["sleep 11", "look"]
    assert world.record is not None
    assert (world.record.checkout_id, world.record.link_shared) == ("cs_1", False)


class TestWhatVideoDBCallsExpired:
    def test_is_replaced_under_another_key_after_a_second_look(self, world: World) -> None:
        world.record, world.entries = HANDED_OUT, [expired()]
        world.answers = [answered("cs_2", url="https://pay.example/cs_2")]
        bought = world.buys()

        assert world.money[:5] == ["look", "sleep 10", "look", "save", "post"]
        assert (bought.generation, bought.checkout_id, bought.ended) == (1, "cs_2", {"cs_1": 50})
        assert [post["idempotency_key"] for post in world.posts] == [idempotency_key(*IDENTITY, 1, 50)]

    @pytest.mark.parametrize("then", ["pending", "processing", ""])
    def test_is_not_replaced_where_the_second_look_says_otherwise(self, world: World, then: str) -> None:
        world.record, world.entries = HANDED_OUT, [expired()]
        world.at_look[2] = lambda: world.entries.__setitem__(0, listed(status=then))

        assert world.buys() == HANDED_OUT
        assert world.posts == []

    def test_is_paid_where_the_second_look_says_so(self, world: World) -> None:
        world.record, world.entries = HANDED_OUT, [expired()]
        world.at_look[2] = lambda: world.entries.__setitem__(0, listed(status="completed"))

        assert world.buys().paid == ("cs_1",)
        assert world.posts == []

    def test_is_waited_for_where_the_second_look_does_not_show_it(self, world: World) -> None:
        world.record, world.entries = HANDED_OUT, [expired()]
        world.at_look[2] = world.entries.clear

        assert world.buys() == HANDED_OUT
        assert world.posts == []

    @pytest.mark.parametrize(
        ("record", "entry"),
        [
            (HANDED_OUT, listed(status="expired")),
            (made(), listed(status="expired", made_at=after(-3600))),
            (HANDED_OUT, listed(status="expired", made_at=None)),
            # Nobody knows how old it is.
            (made(posts=()), listed(status="expired", made_at=None)),
        ],
    )
    @pytest.mark.parametrize("clock_is_off", [timedelta(0), timedelta(minutes=5), -A_DAY])
    def test_is_left_to_a_person_where_it_cannot_have_expired(
        self, world: World, record: Purchase, entry: Checkout, clock_is_off: timedelta
    ) -> None:
        world.record, world.entries = record, [entry]
        world.time += clock_is_off
        with pytest.raises(VideoDBCheckoutExpiredError, match="may still be payable"):
            world.buys()

        assert world.posts == []
        assert world.record == record

    def test_of_the_next_generation_is_not_believed_on_what_was_seen_of_the_last(self, world: World) -> None:
        """It is called expired as soon as it is made, and looks its age."""
        world.record, world.entries = HANDED_OUT, [expired()]
        world.answers = [answered("cs_2"), answered("cs_3")]
        world.meanwhile = lambda: world.entries.append(expired(f"cs_{len(world.posts) + 1}"))
        world.at_look[4] = lambda: world.entries.__setitem__(1, listed("cs_2"))

        assert world.buys().checkout_id == "cs_2"
        assert len(world.posts) == 1

    def test_and_of_a_link_without_an_id_ends_as_well(self, world: World) -> None:
        """Its id is found in the list, which shows it as expired: it must not be looked for for good."""
        world.record, world.entries = asked(payment_url=LINK), [listed(status="expired")]
        world.time, world.answers = NOON + A_DAY, [answered("cs_2")]
        bought = world.buys()

        assert (bought.checkout_id, bought.generation, bought.ended) == ("cs_2", 1, {"cs_1": 50})
        assert world.done.count("look") < 6

    @pytest.mark.parametrize("late", ["cs_1", "cs_2", "cs_3"])
    def test_is_watched_over_generations_and_amounts(self, world: World, late: str) -> None:
        for generation, amount in enumerate([50, 97, 5], start=1):
            world.needs, world.answers = [amount], [answered(f"cs_{generation}", amount=amount)]
            world.entries = [expired(f"cs_{earlier}") for earlier in range(1, generation)]
            world.this_try.id = f"try-{generation}"
            world.buys()
        assert world.record is not None
        assert world.record.ended == {"cs_1": 50, "cs_2": 97}

        world.this_try.id = "try-4"
        world.entries = [listed(late, "completed")]
        bought = world.buys()
        assert (bought.paid, bought.amount_paid) == ((late,), {"cs_1": 50, "cs_2": 97, "cs_3": 5}[late])
        assert world.record == bought.receipt()
        assert len(world.posts) == 3


class TestATryThatMayNotGoOn:
    @pytest.mark.parametrize("error", [OVER, UNREADABLE])
    @pytest.mark.parametrize(
        ("record", "entries"),
        [(None, []), (asked(posts=()), []), (asked(), []), (asked(), [listed()]), (HANDED_OUT, [expired()])],
    )
    def test_buys_nothing(
        self, world: World, record: Purchase | None, entries: list[Checkout], error: VideoDBError
    ) -> None:
        if record is not None:
            world.record = record
        world.entries, world.this_try.error = entries, error
        with pytest.raises(type(error)):
            world.buys()

        assert world.posts == []
        assert world.record is None or world.record.in_flight == 0

    @pytest.mark.parametrize("error", [OVER, UNREADABLE])
    @pytest.mark.parametrize(
        ("record", "entries"),
        [
            (made(), [listed()]),
            (HANDED_OUT, [listed()]),
            (HANDED_OUT, []),
            (asked(payment_url=LINK), [listed()]),
        ],
    )
    def test_hands_out_no_link(
        self, world: World, record: Purchase, entries: list[Checkout], error: VideoDBError
    ) -> None:
        world.record, world.entries, world.this_try.error = record, entries, error
        with pytest.raises(type(error)):
            world.buys()

        assert world.record is not None
        assert world.record.link_shared == record.link_shared

    def test_keeps_the_link_back_that_it_was_answered_with(self, world: World) -> None:
        """Told to stop while the POST is under way."""
        world.answers = [answered()]
        world.meanwhile = lambda: setattr(world.this_try, "error", OVER)
        with pytest.raises(VideoDBTryOverError):
            world.buys()

        assert world.record is not None
        assert (world.record.checkout_id, world.record.link_shared) == ("cs_1", False)

    @pytest.mark.parametrize("by", ["try-0", "try-2"])
    @pytest.mark.parametrize("look", [1, 2, 3])
    def test_leaves_what_another_try_has_written(self, world: World, by: str, look: int) -> None:
        """Whichever look it stood still at: before the POST, after the answer, before the link goes out."""
        theirs = made(checkout_id="cs_9", link_shared=True)
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1000))
        world.answers = [answered()]
        world.meanwhile = lambda: world.entries.append(listed(made_at=world.time))

        def other_try_writes() -> None:
            world.keeps(theirs, by=by)
            world.this_try.error = OVER if by == "try-2" else None

        world.at_look[look] = other_try_writes
        with pytest.raises(VideoDBTryOverError if by == "try-2" else VideoDBRecordUnreadableError):
            world.buys()

        assert len(world.posts) == (look > 1)
        assert world.record == theirs
        assert world.store.get("videodb_purchase")["try"] == by

    @pytest.mark.parametrize("by", ["try-0", "try-2"])
    def test_hands_out_no_link_that_another_has_replaced(self, world: World, by: str) -> None:
        """Though it has nothing new to write."""
        world.record, world.entries = HANDED_OUT, [listed()]
        theirs = made(checkout_id="cs_9", link_shared=True)
        world.at_look[1] = lambda: world.keeps(theirs, by=by)
        with pytest.raises(VideoDBRecordUnreadableError):
            world.buys()

        assert world.record == theirs

    @pytest.mark.parametrize(
        "act",
        [
            lambda executor, world: executor.obtain_checkout(
                HANDED_OUT, world.assess, currency=None, redirect_url=None
            ),
            lambda executor, _: executor.mark_paid(made(link_shared=True, paid=("cs_1",))),
        ],
        ids=["buys", "settles"],
    )
    def test_writes_no_payment_over_what_another_try_has_written(self, world: World, act: Any) -> None:
        world.record, world.entries = HANDED_OUT, [listed(status="completed")]
        theirs = made(checkout_id="cs_9")
        buyer_of_this_try = world.executor
        assert buyer_of_this_try.load_existing() == HANDED_OUT
        world.keeps(theirs, by="try-2")
        world.this_try.error = OVER
        with pytest.raises(VideoDBTryOverError):
            act(buyer_of_this_try, world)

        assert world.record == theirs


class TestAnAirflowThatKeepsNothing:
    """Variables, which Airflow below 3.3 has for a record, and which all have for claims."""

    @pytest.fixture(
        autouse=True,
        params=[
            pytest.param(True, marks=pytest.mark.skipif(not VARIABLES_CAN_BE_LISTED, reason="3.3 only")),
            False,
        ],
        ids=["3.3", "below 3.3"],
    )
    def version(self, request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow_provider_videodb.purchases.variables.VARIABLES_CAN_BE_LISTED", request.param)
        world.place, world.answers = VariableStore(IDENTITY), [answered()]

    def test_is_not_this_one(self, world: World) -> None:
        assert world.buys().checkout_id == "cs_1"
        assert world.executor.load_existing() == world.buys()
        assert len(world.posts) == 1

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_gets_no_post_where_it_refuses_the_intent(self, world: World, fault: Any) -> None:
        world.at_look[1] = lambda: setattr(world.variables, "writing", fault)
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()

        assert world.posts == []

    def test_gets_no_post_where_it_says_that_it_has_kept_the_intent(self, world: World) -> None:
        world.at_look[1] = lambda: setattr(world.variables, "loses_writes", True)
        with pytest.raises(VideoDBRecordUnreadableError):
            world.buys()

        assert world.posts == []

    @pytest.mark.parametrize("said", [ErrorType.VARIABLE_NOT_FOUND, *ErrorType, *FAULTS], ids=repr)
    @pytest.mark.parametrize("look", [0, 1])
    def test_gets_no_post_where_it_cannot_read_the_record(self, world: World, said: Any, look: int) -> None:
        """It says of a record that it cannot read what it says of one that is not there."""
        world.buys()
        world.posts.clear()
        world.entries = [expired()]
        if look:
            world.at_look[world.done.count("look") + look] = lambda: setattr(world.variables, "failing", said)
        else:
            world.variables.failing = said
        with pytest.raises(VideoDBRecordUnreadableError):
            world.buys()

        assert world.posts == []

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_sees_no_link_where_it_refuses_the_answer(self, world: World, fault: Any) -> None:
        world.meanwhile = lambda: setattr(world.variables, "writing", fault)
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()

        # The next try finds that it has asked, and what came of it.
        world.variables.writing, world.entries = None, [listed(status="completed")]
        world.this_try.id = "try-2"
        assert world.buys().paid == ("cs_1",)
        assert len(world.posts) == 1

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_sees_no_link_where_it_refuses_the_claim(self, world: World, fault: Any) -> None:
        world.place = None
        world.meanwhile = lambda: setattr(world.variables, "writing", fault)
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()
        assert world.record is not None
        assert (world.record.checkout_id, world.record.link_shared) == ("cs_1", False)

        world.variables.writing = None
        assert world.buys().link_shared
        assert world.claims == {"cs_1": OWNER}
        assert len(world.posts) == 1

    def test_buys_once_where_the_list_forgets_what_was_paid(self, world: World) -> None:
        """The receipt stays with us: neither a clear nor another try goes by VideoDB's list."""
        world.meanwhile = lambda: world.entries.append(listed(status="completed"))
        paid = world.buys()
        for number, entries in enumerate(([], [listed()], [expired()], [listed(status="refunded")]), start=2):
            world.entries, world.this_try.id = entries, f"try-{number}"
            assert world.buys() == paid.receipt()

        assert len(world.posts) == 1


@pytest.mark.parametrize("in_flight", [5, 35, 45])
@pytest.mark.parametrize("clock_is_off", [timedelta(0), A_DAY, -A_DAY, timedelta(minutes=5)])
@pytest.mark.parametrize("entries", [[], [listed()]])
def test_a_post_of_a_killed_try_is_waited_out_whatever_the_clocks_say(
    world: World, in_flight: float, clock_is_off: timedelta, entries: list[Checkout]
) -> None:
    world.record, world.entries = asked(in_flight=in_flight), entries
    world.answers, world.time = [answered("cs_2")], NOON + clock_is_off
    began = world.seconds
    bought = world.buys()

    assert world.money[:2] == ["look", f"sleep {in_flight + 10:g}"]
    # By seconds that nobody can set back: the POST may take effect to the last, and the list lag after that.
    assert world.seconds - began > in_flight + 10
    assert bought.orphans == tuple(str(entry.id) for entry in entries)


def test_a_post_of_a_killed_try_that_takes_effect_late_is_found(world: World) -> None:
    world.record = asked(in_flight=35)
    world.at_look[2] = lambda: world.entries.append(listed(status="completed"))

    assert world.buys().paid == ("cs_1",)
    assert world.posts == []


class TestClaims:
    def test_a_checkout_of_its_own_that_another_task_took_is_not_handed_out(self, world: World) -> None:
        world.answers = [answered()]
        world.meanwhile = lambda: world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError) as caught:
            world.buys()

        assert str(caught.value) == (
            "Checkout cs_1 over 50 USD was taken for its own by another task, so which of the two it belongs to cannot "
            "be told. Nothing more was bought. Start a new DAG run to buy again."
        )
        assert world.money == ["look", "save", "post", "save"]

    def test_a_link_without_an_id_is_claimed_once_it_is_found(self, world: World) -> None:
        world.answers = [answered(None)]
        world.meanwhile = lambda: world.entries.append(listed())
        bought = world.buys()

        assert world.money == [
            *("look", "save", "post", "save", "look", "sleep 10", "look"),
            *("claim cs_1", "let others claim", "save"),
        ]
        assert (bought.checkout_id, bought.payment_url, bought.link_shared) == ("cs_1", LINK, True)

    def test_what_others_claim_is_not_taken_from_the_list(self, world: World) -> None:
        world.record = asked()
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OTHER)

        assert world.buys().paid == ("cs_2",)

    def test_what_is_its_own_already_is(self, world: World) -> None:
        world.record = asked()
        world.entries = [listed(status="completed")]
        world.claim("cs_1", OWNER)

        assert world.buys().paid == ("cs_1",)

    def test_candidates_alone_are_looked_up(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_up: list[str] = []
        monkeypatch.setattr(VariableClaims, "owner", lambda _, checkout_id: looked_up.append(checkout_id))
        world.entries = [listed("cs_2", amount=20), listed("cs_3"), listed(None), listed("cs_1")]
        world.record = made(link_shared=True)
        world.buys()
        assert set(looked_up) == {"cs_1"}

        looked_up.clear()
        world.record = asked()
        world.answers = [answered("cs_4")]
        world.buys()
        assert looked_up[:2] == ["cs_3", "cs_1"]
        assert set(looked_up) == {"cs_1", "cs_3", "cs_4"}

    @pytest.mark.parametrize("record", [None, asked(posts=()), HANDED_OUT])
    def test_of_a_long_list_are_not_read_before_it_buys(self, world: World, record: Purchase | None) -> None:
        """A run of last month on an account with 5,000 checkouts."""
        if record is not None:
            world.record = record
        long_list = [listed(f"cs_old_{number}", "completed", made_at=YESTERDAY) for number in range(5000)]
        world.entries, world.answers = [*long_list, listed()], [answered()]
        world.buys()

        assert len(world.variables.asked) < 20

    def test_what_turns_out_to_be_anothers_while_it_is_taken_is_not_paid(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.record, world.entries, world.answers = asked(), [listed(status="completed")], [answered("cs_2")]
        # Of two that take it at once the last to write has it.
        monkeypatch.setattr(
            "airflow_provider_videodb.purchases.claims.time",
            SimpleNamespace(sleep=lambda _: world.claim("cs_1", OTHER)),
        )
        bought = world.buys()

        assert (bought.checkout_id, bought.paid, bought.excluded_ids) == ("cs_2", (), ("cs_1",))
        assert "Checkouts cs_1 were paid, but they are another task's." in caplog.messages


class TestWhatIsNeeded:
    @pytest.mark.parametrize("record", [None, asked(posts=()), asked(posts=(), ended={"cs_0": 20})])
    def test_is_nothing_from_the_start(self, world: World, record: Purchase | None) -> None:
        if record is not None:
            world.record = record
        world.needs = [0]

        assert world.obtains() is None
        assert world.money == []

    @pytest.mark.parametrize("reprices", [True, False])
    @pytest.mark.parametrize("record", [asked(), asked(in_flight=35)])
    def test_is_nothing_any_more_where_the_answer_was_lost(
        self, world: World, record: Purchase, reprices: bool
    ) -> None:
        world.record, world.needs = record, [50, 0]

        assert world.obtains(reprices=reprices) is None
        assert world.posts == []

    def test_is_nothing_any_more_where_the_link_has_expired(self, world: World) -> None:
        world.record, world.entries, world.needs = HANDED_OUT, [expired()], [97, 0]

        assert world.obtains() is None
        assert world.posts == []
        assert world.record == HANDED_OUT

    def test_does_not_change_what_was_paid_or_can_be(self, world: World) -> None:
        world.record, world.needs, world.entries = HANDED_OUT, [0], [listed()]
        assert world.obtains() == HANDED_OUT

        world.entries = [listed(status="completed")]
        assert world.buys().paid == ("cs_1",)

    @pytest.mark.parametrize("reprices", [True, False])
    @pytest.mark.parametrize("now", [5, 97])
    def test_is_bought_where_the_link_has_expired(self, world: World, now: int, reprices: bool) -> None:
        """Not the shortfall of yesterday: somebody else has filled the account, or used it, since."""
        world.record, world.entries, world.needs = HANDED_OUT, [expired()], [50, now]
        world.answers = [answered("cs_2", amount=now)]
        bought = world.buys(reprices=reprices)

        key = idempotency_key(*IDENTITY, 1, now)
        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == [(now, key)]
        assert (bought.amount, bought.key, bought.ended) == (now, key, {"cs_1": 50})

    def test_is_bought_where_a_link_without_an_id_has_expired(self, world: World) -> None:
        world.record, world.entries = asked(payment_url=LINK), [listed(status="expired")]
        world.time, world.needs, world.answers = NOON + A_DAY, [50, 5], [answered("cs_2", amount=5)]

        assert world.buys().amount == 5

    @pytest.mark.parametrize(
        ("reprices", "posts"),
        [
            (True, [(50, KEY), (5, idempotency_key(*IDENTITY, 1, 5))]),
            # A fixed amount is asked for again as it was, so that VideoDB may know it again.
            (False, [(50, KEY), (50, KEY)]),
        ],
    )
    def test_is_bought_after_a_lost_answer(self, world: World, reprices: bool, posts: list[tuple[int, str]]) -> None:
        world.needs, world.answers = [50, 5], [LOST, answered("cs_2")]
        world.meanwhile = lambda: world.entries.append(listed())
        bought = world.buys(reprices=reprices)

        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == posts
        assert "cs_1" in bought.watched
        assert bought.balance_before == 3.5

    def test_is_bought_after_a_payment_that_was_anothers(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.record, world.entries, world.needs = asked(), [listed(status="completed")], [50, 50, 5]
        world.answers = [answered("cs_2")]
        monkeypatch.setattr(
            "airflow_provider_videodb.purchases.claims.time",
            SimpleNamespace(sleep=lambda _: world.claim("cs_1", OTHER)),
        )

        assert world.buys(reprices=True).amount == 5

    def test_is_looked_at_after_each_wait_before_a_post_and_not_for_a_link_that_waits(self, world: World) -> None:
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1000))
        world.answers = [LOST, answered("cs_2")]
        world.meanwhile = lambda: len(world.posts) == 2 and world.entries.append(listed("cs_2", made_at=world.time))
        world.buys()

        steps = [did for did in world.done if did.startswith(("assess", "sleep", "post"))]
        assert steps == ["assess", "post", "sleep 10", "assess", "post", "sleep 11"]

    def test_is_still_refused_beyond_a_limit(self, world: World) -> None:
        world.record, world.entries, world.needs = HANDED_OUT, [expired()], [50, 97]
        world.limits = SpendLimits(max_topup_amount=Decimal(60))
        with pytest.raises(VideoDBLimitExceededError):
            world.buys()

        assert world.posts == []


class TestAnotherAmount:
    @pytest.mark.parametrize("record", [asked(), made(link_shared=True)])
    def test_does_not_change_what_stands(
        self, world: World, record: Purchase, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.record, world.entries, world.needs, world.answers = record, [listed()], [70], [answered()]

        assert world.buys().amount == 50
        assert caplog.messages[0] == ("This task now asks for 70 USD, but a purchase of 50 USD was begun and stands.")

    def test_needs_no_word_where_the_amount_is_what_is_missing(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.record, world.entries, world.needs = HANDED_OUT, [listed()], [70]

        assert world.buys(reprices=True).amount == 50
        assert caplog.messages == []

    @pytest.mark.parametrize("reprices", [True, False])
    def test_is_what_is_asked_for_where_all_was_refused(
        self, world: World, caplog: pytest.LogCaptureFixture, reprices: bool
    ) -> None:
        world.record = asked(posts=(), generation=3, ended={"cs_0": 20}, balance_before=1)
        world.needs, world.answers = [70], [answered(amount=70)]
        bought = world.buys(reprices=reprices)

        key = idempotency_key(*IDENTITY, 3, 70)
        assert (bought.amount, bought.generation, bought.key, bought.balance_before) == (70, 3, key, 3.5)
        assert bought.ended == {"cs_0": 20}
        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == [(70, key)]
        assert caplog.messages == []

    def test_is_none_where_it_is_the_same(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.answers = asked(posts=()), [answered()]

        assert world.buys().key == asked().key
        assert caplog.messages == []


class TestWhatWasBegun:
    @pytest.mark.parametrize("record", [asked(), made(), made(paid=("cs_1",))])
    def test_is_what_is_recorded(self, world: World, record: Purchase) -> None:
        world.record = record

        assert world.executor.load_existing() == record
        assert world.done == ["read"]

    def test_is_nothing_where_nothing_is_recorded_whatever_the_list_shows(self, world: World) -> None:
        world.entries = [listed(status="completed")]
        world.claim("cs_1", OWNER)

        assert world.executor.load_existing() is None
        assert "look" not in world.done

    def test_of_another_account_is_left_to_a_person(self, world: World) -> None:
        world.record = asked(account="account-0")
        with pytest.raises(VideoDBPurchaseUnknownError, match="another key or address"):
            world.buys()

        assert world.posts == []
        assert world.record == asked(account="account-0")


class TestAnAnswerOfAPerson:
    VARIABLE = "videodb_answer_0123456789abcdef"

    def test_is_followed_recorded_and_removed(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.entries, world.answers = asked(), [listed(status="disputed")], [answered("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert bought.checkout_id == "cs_2"
        # The list is not waited for: a person has looked.
        assert world.money[:5] == ["look", "save", "look", "save", "post"]
        assert self.VARIABLE not in world.variables.kept
        assert "Going on from the answer 'buy' that a person gave for this purchase." in caplog.messages

    def test_in_place_of_what_has_expired_begins_a_generation_with_a_key_of_its_own(self, world: World) -> None:
        world.record, world.entries, world.answers = asked(), [listed(status="expired")], [answered("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert (bought.generation, bought.key) == (1, idempotency_key(*IDENTITY, 1, 50))
        assert self.VARIABLE not in world.variables.kept

    @pytest.mark.parametrize("record", [HANDED_OUT, made()])
    def test_may_believe_that_a_young_checkout_has_expired(self, world: World, record: Purchase) -> None:
        world.record, world.entries, world.answers = record, [listed(status="expired")], [answered("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert (bought.checkout_id, bought.generation, bought.ended) == ("cs_2", 1, {"cs_1": 50})

    def test_is_for_what_is_needed_now(self, world: World) -> None:
        world.record, world.entries, world.answers = asked(), [listed()], [answered("cs_2", amount=5)]
        world.variables.kept[self.VARIABLE], world.needs = "buy", [5]

        assert world.buys().amount == 5

    def test_that_names_what_was_paid_ends_it(self, world: World) -> None:
        world.record, world.entries = asked(), [listed(status="completed"), listed("cs_2", "completed")]
        world.variables.kept[self.VARIABLE] = "cs_2"

        assert world.buys().paid == ("cs_2",)
        assert world.record is not None
        assert (world.record.checkout_id, world.record.id_source, world.record.paid) == ("cs_2", "list", ("cs_2",))
        assert world.record.paid_at is not None
        assert world.claims == {"cs_2": OWNER}
        assert world.posts == []

    def test_that_names_what_another_task_has_is_not_followed(self, world: World) -> None:
        world.record, world.entries = asked(), [listed(status="completed")]
        world.variables.kept[self.VARIABLE] = "cs_1"
        world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError, match="Checkout cs_1 over 50 USD was taken"):
            world.buys()

        assert world.record == asked()
        assert self.VARIABLE in world.variables.kept

    @pytest.mark.parametrize("answer", ["cs_of_nobody", "", "BUY"])
    def test_that_cannot_be_followed_stays(self, world: World, answer: str) -> None:
        world.record = asked()
        world.variables.kept[self.VARIABLE] = answer
        with pytest.raises(VideoDBPurchaseUnknownError, match=f"The answer '{answer}'"):
            world.buys()

        assert world.record == asked()
        assert self.VARIABLE in world.variables.kept

    def test_that_was_followed_stays_where_the_record_is_not_kept(self, world: World) -> None:
        world.record, world.entries = asked(), [listed()]
        world.variables.kept[self.VARIABLE] = "buy"
        world.store.fault = VideoDBRecordNotKeptError("Airflow could not write.")
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()

        assert self.VARIABLE in world.variables.kept
        assert world.posts == []

    def test_to_what_is_paid_is_not_asked_for(self, world: World) -> None:
        world.record = made(paid=("cs_1",))
        world.variables.kept[self.VARIABLE] = "buy"

        assert world.buys().paid == ("cs_1",)
        assert self.VARIABLE in world.variables.kept


class TestConfirming:
    """What a wait has seen, in a process that has not read the record yet."""

    def test_goes_by_the_record_as_it_is_now(self, world: World) -> None:
        world.record = made(link_shared=True, notified=("0:SlackNotifier",), ended={"cs_0": 20})
        confirmed = world.executor.confirm(made(link_shared=True, paid=("cs_0",)))

        assert confirmed.notified == ("0:SlackNotifier",)
        assert (confirmed.paid, confirmed.amount_paid) == (("cs_0",), 20)
        assert confirmed.paid_at == world.time.isoformat()
        assert world.record == confirmed.receipt()

    def test_changes_nothing_where_it_is_confirmed_already(self, world: World) -> None:
        world.record = paid = made(posts=(), paid=("cs_1",), paid_at=YESTERDAY.isoformat())

        assert world.executor.confirm(made(paid=("cs_1", "cs_2"))) == paid
        assert "save" not in world.done

    def test_goes_by_what_was_seen_where_a_person_has_removed_the_record(self, world: World) -> None:
        confirmed = world.executor.confirm(made(link_shared=True, paid=("cs_1",)))

        assert confirmed.paid == ("cs_1",)
        assert world.record == confirmed.receipt()

    def test_gives_up_what_is_anothers(self, world: World) -> None:
        world.record = made(link_shared=True, orphans=("cs_2",))
        world.claim("cs_2", OTHER)
        confirmed = world.executor.confirm(made(link_shared=True, orphans=("cs_2",), paid=("cs_2",)))

        assert confirmed.paid == ()
        assert world.record == confirmed

    def test_is_not_for_a_try_that_is_over(self, world: World) -> None:
        world.keeps(HANDED_OUT, by="try-2")
        world.this_try.error = OVER
        with pytest.raises(VideoDBTryOverError):
            world.executor.confirm(made(link_shared=True, paid=("cs_1",)))

        assert world.record == HANDED_OUT


class TestSettling:
    @pytest.mark.parametrize(
        ("purchase", "claimed", "done"),
        [
            # A link that people had leads to no other task's checkout.
            (made(link_shared=True, paid=("cs_1",)), {"cs_1": OWNER}, ["save"]),
            (made(link_shared=True, paid=("cs_1",)), {}, ["claim cs_1", "save"]),
            (made(paid=("cs_1",)), {"cs_1": OWNER}, ["let others claim", "save"]),
            (made(orphans=("cs_2",), paid=("cs_2",)), {}, ["claim cs_2", "let others claim", "save"]),
            (made(ended={"cs_0": 20}, paid=("cs_0",)), {}, ["claim cs_0", "let others claim", "save"]),
            (made(link_shared=True, id_source="list", paid=("cs_1",)), {}, ["claim cs_1", "let others claim", "save"]),
            # The second one is reported and left to whoever has lost its answer.
            (made(link_shared=True, orphans=("cs_2",), paid=("cs_1", "cs_2")), {}, ["claim cs_1", "save"]),
            (made(link_shared=True, orphans=("cs_2",), paid=("cs_1", "cs_2")), {"cs_2": OWNER}, ["claim cs_1", "save"]),
        ],
    )
    def test_records_what_is_its_own(
        self, world: World, purchase: Purchase, claimed: dict[str, str], done: list[str]
    ) -> None:
        for checkout_id, owner in claimed.items():
            world.claim(checkout_id, owner)

        assert world.executor.mark_paid(purchase) == purchase
        assert world.money == done
        assert world.record == purchase.receipt()

    @pytest.mark.parametrize(
        ("purchase", "claimed", "then"),
        [
            (
                made(orphans=("cs_2",), paid=("cs_2",)),
                ["cs_2"],
                made(excluded_ids=("cs_2",)),
            ),
            (
                made(link_shared=True, orphans=("cs_2",), paid=("cs_1", "cs_2")),
                ["cs_2"],
                made(link_shared=True, excluded_ids=("cs_2",), paid=("cs_1",)),
            ),
            (
                asked(orphans=("cs_2", "cs_3", "cs_4"), paid=("cs_2", "cs_3", "cs_4")),
                ["cs_2", "cs_3"],
                asked(excluded_ids=("cs_2", "cs_3"), orphans=("cs_4",), paid=("cs_4",)),
            ),
            (
                made(id_source="list", paid=("cs_1",)),
                ["cs_1"],
                asked(payment_url=LINK, excluded_ids=("cs_1",)),
            ),
        ],
    )
    def test_gives_up_what_is_anothers(
        self,
        world: World,
        purchase: Purchase,
        claimed: list[str],
        then: Purchase,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for checkout_id in claimed:
            world.claim(checkout_id, OTHER)

        assert world.executor.mark_paid(purchase) == then
        assert world.record == (then.receipt() if then.paid else then)
        assert caplog.messages == [f"Checkouts {', '.join(claimed)} were paid, but they are another task's."]

    @pytest.mark.parametrize("paid", [("cs_1",), ("cs_1", "cs_2")])
    def test_stops_where_another_has_what_an_answer_named(self, world: World, paid: tuple[str, ...]) -> None:
        world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError, match="Checkout cs_1 over 50 USD was taken"):
            world.executor.mark_paid(made(link_shared=True, orphans=("cs_2",), paid=paid))

        assert world.record is None


class TestWhatBecameOfIt:
    @pytest.mark.parametrize(
        ("purchase", "entries", "words", "looks"),
        [
            (HANDED_OUT, [listed()], f"stays payable until it expires, and there is no call to cancel it: {LINK}", 1),
            (HANDED_OUT, [listed(status="disputed")], "stays payable until it expires", 1),
            (HANDED_OUT, [], "stays payable until it expires", 1),
            (HANDED_OUT, [expired()], "expired unpaid: nothing can be paid any more.", 2),
            (HANDED_OUT, [listed(status="expired")], "may still be payable", 2),
            (made(), [listed()], "Nobody has been shown a link to pay the 50 USD that were asked for.", 1),
            (asked(), [listed()], "Nobody has been shown a link", 2),
        ],
    )
    @pytest.mark.parametrize("is_recorded", [True, False])
    def test_is_said_and_nothing_is_bought(
        self,
        world: World,
        purchase: Purchase,
        entries: list[Checkout],
        words: str,
        looks: int,
        is_recorded: bool,
    ) -> None:
        world.entries = entries
        if is_recorded:
            world.record = purchase
        became, said = world.executor.reconcile(purchase)

        assert words in said
        assert became == purchase
        assert world.money == ["look", "sleep 10", "look"][: 2 * looks - 1]

    @pytest.mark.parametrize("record", [None, HANDED_OUT, made(link_shared=True, notified=("0:SlackNotifier",))])
    def test_is_settled_where_it_is_paid(self, world: World, record: Purchase | None) -> None:
        """Also in a process that has waited and has not read the record yet."""
        if record is not None:
            world.record = record
        world.entries = [listed(status="completed")]
        became, said = world.executor.reconcile(made(link_shared=True))

        assert became.paid == ("cs_1",)
        assert became.notified == (() if record is None else record.notified)
        assert world.record == became.receipt()
        assert said == "Checkout cs_1 over 50 USD was paid: its credits are on the account."
        assert world.posts == []

    def test_is_told_once_the_list_has_settled(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.entries = [listed(), listed("cs_2", "completed")]
        became, said = world.executor.reconcile(asked(in_flight=35))

        assert world.money == ["look", "sleep 45", "look"]
        assert became == asked(in_flight=35)
        assert "cannot be told" in said
        assert caplog.messages == ["Looking at the list of checkouts again in 45.0 s, since it may lag."]

    def test_is_found_for_a_link_without_an_id(self, world: World) -> None:
        world.time, world.entries = NOON + A_DAY, [listed(status="expired")]
        became, said = world.executor.reconcile(asked(payment_url=LINK, link_shared=True))

        assert became.checkout_id == "cs_1"
        assert said == "Checkout cs_1 over 50 USD expired unpaid: nothing can be paid any more."

    @pytest.mark.parametrize(
        "limits", [SpendLimits(max_topup_amount=Decimal(1)), SpendLimits(monthly_topup_limit=Decimal(1))]
    )
    @pytest.mark.parametrize(
        ("purchase", "entry", "words"),
        [
            (HANDED_OUT, expired(), "expired unpaid: nothing can be paid any more."),
            (made(), listed(), "Nobody has been shown a link"),
        ],
    )
    def test_is_not_what_a_limit_would_stop(
        self, world: World, limits: SpendLimits, purchase: Purchase, entry: Checkout, words: str
    ) -> None:
        world.limits, world.entries = limits, [entry]
        _, said = world.executor.reconcile(purchase)

        assert words in said
        assert world.posts == []

    def test_is_not_what_another_task_has_claimed(self, world: World) -> None:
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OTHER)
        became, _ = world.executor.reconcile(asked(orphans=("cs_2",)))

        assert became == asked(orphans=("cs_2",), paid=("cs_2",), paid_at=NOON.isoformat())

    def test_is_missing_where_a_link_has_no_entry(self, world: World) -> None:
        _, said = world.executor.reconcile(asked(payment_url=LINK))

        assert "is not in VideoDB's list" in said


def test_a_link_that_has_no_entry_in_the_list_is_not_handed_out(world: World) -> None:
    world.answers = [answered(None)]
    with pytest.raises(VideoDBCheckoutMissingError):
        world.buys()

    assert world.record is not None
    assert world.record.link_shared is False


class TestTheLimitsOfOnePurchase:
    @pytest.mark.parametrize(
        ("limits", "name"),
        [(SpendLimits(max_topup_amount=Decimal(49)), "max_topup_amount"), (SpendLimits(max_amount=49), "max_amount")],
    )
    def test_are_checked_without_a_look(self, world: World, limits: SpendLimits, name: str) -> None:
        world.limits = limits
        world.executor.check_per_purchase_limits(49)
        with pytest.raises(VideoDBLimitExceededError, match=name):
            world.executor.check_per_purchase_limits(50)

        assert world.done == []

    def test_are_not_that_of_the_month(self, world: World) -> None:
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1))
        world.executor.check_per_purchase_limits(50)


def test_a_buyer_has_the_clock_of_this_machine_unless_it_is_given_another(world: World) -> None:
    from airflow_provider_videodb.purchases.clock import Clock

    given = {"shop": world, "journal": world.executor.journal, "claims": world.executor.claims, "limits": world.limits}
    default = executor.PurchaseExecutor(**given, current_try=world.this_try, identity=IDENTITY)  # type: ignore[arg-type]  # a table

    assert type(default.clock) is Clock
    assert (default.post_timeout, default.account) == (40, None)


@pytest.mark.parametrize(
    "limits", [{"monthly_topup_limit": 60}, {"max_topup_amount": 50, "monthly_topup_limit": 69}], ids=str
)
def test_card_that_was_charged_beyond_a_limit_is_told_loudly(
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


@pytest.mark.parametrize("then", ["hidden", "pending", "expired"])
def test_paid_checkout_that_one_look_hides_is_not_bought_again(world: World, then: str) -> None:
    """The answer is lost and the card charged. The look after the list has settled shows something else."""
    world.answers = [LOST]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))
    lies = [] if then == "hidden" else [listed(status=then)]
    world.at_look = {3: lambda: world.entries.__setitem__(slice(None), lies)}
    bought = world.buys()

    assert len(world.posts) == 1
    assert bought.paid == ("cs_1",)
