"""A try of a purchase, call by call: in which order what is asked, recorded, claimed and said."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb import buyer
from airflow_provider_videodb.buyer import Buyer, Clock
from airflow_provider_videodb.claims import VariableClaims
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBLimitExceededError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBPurchaseUnknownError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.journal import Journal
from airflow_provider_videodb.limits import SpendLimits
from airflow_provider_videodb.purchase import idempotency_key
from airflow_provider_videodb.record import Purchase
from tests.support.checkouts import LINK, NOON, after, answered, asked, listed, made
from tests.support.variables import Store, Variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.models import Checkout

IDENTITY = ("dag", "run", "task", "-1")
OWNER, OTHER = "dag/run/task/-1", "dag/run/other/-1"
KEY = idempotency_key(*IDENTITY, 0, 50)
#: What one look at the list and one POST take.
LOOK, POST = 1, 2
LOST = VideoDBOutcomeUnknownError("The answer was lost.")


def claim_on(checkout_id: str) -> str:
    return f"videodb_checkout__{checkout_id}"


@dataclass
class World:
    """
    An account, what Airflow keeps, and the time; notes what is done to them, in order.

    :param answers: what the POSTs are answered with, one after the other.
    :param entries: VideoDB's list.
    """

    entries: list[Checkout] = field(default_factory=list)
    answers: list[Checkout | Exception] = field(default_factory=list)
    limits: SpendLimits = field(default_factory=SpendLimits)
    durable: bool = True
    time: datetime = NOON
    done: list[str] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    store: Store = field(default_factory=Store)
    variables: Variables = field(default_factory=Variables)
    #: What happens in the account while a POST is under way.
    meanwhile: Callable[[], object] = lambda: None

    @property
    def buyer(self) -> Buyer:
        return Buyer(
            shop=self,
            journal=Journal(_NotedStore(self) if self.durable else None),
            claims=VariableClaims(),
            limits=self.limits,
            identity=IDENTITY,
            since=NOON,
            clock=self,  # type: ignore[arg-type]
        )

    def buys(self, amount: int = 50) -> Purchase:
        return self.buyer.obtain_checkout(amount, currency="usd", redirect_url="https://back.example", balance=3.5)

    @property
    def record(self) -> Purchase | None:
        kept = self.store.get("videodb_purchase")
        return None if kept is None else Purchase.from_dict(kept)

    @record.setter
    def record(self, purchase: Purchase) -> None:
        self.store.set("videodb_purchase", purchase.to_dict())

    @property
    def claims(self) -> dict[str, str]:
        return {key.rsplit("__", 1)[1]: owner for key, owner in self.variables.kept.items() if "checkout__" in key}

    def claim(self, checkout_id: str, owner: str) -> None:
        self.variables.kept[claim_on(checkout_id)] = owner

    # What is asked of the account and of the clock

    def list_checkouts(self) -> list[Checkout]:
        self.done.append("look")
        self.time += timedelta(seconds=LOOK)
        return list(self.entries)

    def topup(self, amount: int, **rest: Any) -> Checkout:
        self.done.append("post")
        self.posts.append({"amount": amount, "at": self.time.isoformat()} | rest)
        self.time += timedelta(seconds=POST)
        self.meanwhile()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.done.append(f"sleep {seconds:g}")
        self.time += timedelta(seconds=seconds)


@dataclass
class _NotedStore:
    world: World

    @property
    def ends_with_run(self) -> bool:
        return self.world.store.ends_with_run

    def get(self, name: str) -> Any:
        return self.world.store.get(name)

    def set(self, name: str, value: Any) -> None:
        self.world.done.append("save")
        self.world.store.set(name, value)

    def delete(self, name: str) -> None:
        raise AssertionError(f"{name} ends with its run")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made_up = World()

    def claims(key: str, value: str) -> None:
        made_up.done.append(f"claim {key.rsplit('__', 1)[1]}")
        made_up.variables.kept[key] = value

    monkeypatch.setattr(made_up.variables, "set", claims)
    made_up.variables.install(monkeypatch)
    monkeypatch.setattr(
        "airflow_provider_videodb.claims.time", SimpleNamespace(sleep=lambda _: made_up.done.append("let others claim"))
    )
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
    assert world.done == ["look", "save", "post", "save", "claim cs_1", "look", "save"]
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
        posts=(after(LOOK).isoformat(),),
        checkout_id="cs_1",
        id_source="answer",
        payment_url=LINK,
        handed_out=True,
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
            posts=(after(LOOK).isoformat(),),
            not_ours=("cs_9",),
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
        listed("cs_dateless", made_at=None),
    ]

    assert world.buys().not_ours == ("cs_now", "cs_10", "cs_ahead")


@pytest.mark.parametrize(
    "error",
    errors_of(VideoDBNotSentError, VideoDBRefusedError, VideoDBAuthenticationError, VideoDBRateLimitError),
)
def test_a_post_that_did_nothing_is_taken_back(world: World, error: VideoDBAPIError) -> None:
    world.answers = [error]
    with pytest.raises(VideoDBAPIError) as caught:
        world.buys()

    assert caught.value is error
    assert world.done == ["look", "save", "post", "save"]
    assert world.record is not None
    assert (world.record.posts, world.record.stands) == ((), False)


def test_a_post_that_did_nothing_leaves_the_one_before_it_standing(world: World) -> None:
    world.record, world.answers = asked(), [VideoDBRefusedError("400")]
    world.time = after(60)
    with pytest.raises(VideoDBRefusedError):
        world.buys()

    assert world.record == asked()


@pytest.mark.parametrize("error", errors_of(VideoDBOutcomeUnknownError, VideoDBServerError, VideoDBResponseError))
def test_a_lost_answer_is_looked_into_once_the_list_has_settled_and_asked_for_again_with_the_same_key(
    world: World, error: VideoDBAPIError, caplog: pytest.LogCaptureFixture
) -> None:
    world.answers = [error, answered()]
    bought = world.buys()

    assert world.done == [
        *("look", "save", "post"),
        # The list settles from the end of the POST on, and a look is as old as its beginning.
        *("look", "sleep 10", "look"),
        *("save", "post", "save", "claim cs_1", "look", "save"),
    ]
    assert [post["idempotency_key"] for post in world.posts] == [KEY, KEY]
    assert bought.posts == tuple(post["at"] for post in world.posts)
    assert caplog.messages == [
        "It went wrong. Looking into the list of checkouts for what became of it.",
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


def test_one_try_loses_two_answers_and_leaves_the_rest_to_the_next(world: World) -> None:
    second = VideoDBServerError("Lost again.")
    world.answers = [LOST, second]
    world.meanwhile = lambda: world.entries.append(listed(f"cs_{len(world.posts)}"))
    with pytest.raises(VideoDBServerError) as caught:
        world.buys()

    assert caught.value is second
    assert len(world.posts) == 2
    # What the looks have found is recorded for the next try.
    assert world.done[-2:] == ["look", "save"]
    assert world.record is not None
    assert world.record.orphans == ("cs_1", "cs_2")


def test_a_step_that_it_does_not_know_buys_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buyer, "next_step", lambda *_: "a new step")
    with pytest.raises(AssertionError, match="a new step"):
        world.buys()

    assert world.done == ["look"]


def test_a_lost_answer_that_was_charged_for_is_paid(world: World) -> None:
    world.answers = [LOST]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))
    bought = world.buys()

    assert world.done == [
        *("look", "save", "post", "look", "sleep 10", "look"),
        *("claim cs_1", "let others claim", "save"),
    ]
    assert (bought.checkout_id, bought.paid, bought.id_source) == ("cs_1", ("cs_1",), "list")
    assert world.record == bought


def test_what_is_charged_at_once_with_an_answer_is_paid(world: World) -> None:
    world.answers = [answered()]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))

    assert world.buys().paid == ("cs_1",)
    assert world.done == [
        *("look", "save", "post", "save", "claim cs_1", "look"),
        # Nobody else can have seen it as its own before it was claimed, unless it was paid.
        *("let others claim", "save"),
    ]


@pytest.mark.parametrize("settled", [True, False])
def test_a_paid_record_needs_no_look(world: World, settled: bool) -> None:
    world.record = paid = made(paid=("cs_1",), handed_out=settled)

    assert world.buys() == paid
    assert world.done == []


def test_a_link_that_is_out_is_waited_for_by_every_try(world: World) -> None:
    world.record, world.entries = made(handed_out=True), [listed()]

    assert world.buys() == made(handed_out=True)
    assert world.posts == []


@pytest.mark.parametrize(
    ("record", "limits", "kept"),
    [
        (None, SpendLimits(max_amount=49), None),
        (asked(posts=()), SpendLimits(max_amount=49), asked(posts=())),
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
    assert world.done == (["look"] if kept is None else ["look", "save"])


def test_a_link_that_breaks_the_month_is_not_handed_out(world: World) -> None:
    world.limits = SpendLimits(monthly_topup_limit=Decimal(60))
    world.answers = [answered()]
    world.meanwhile = lambda: world.entries.extend([listed(made_at=after(2)), listed("cs_0", amount=20)])
    with pytest.raises(VideoDBLimitExceededError, match="withheld"):
        world.buys()

    assert world.done[-3:] == ["sleep 11", "look", "save"]
    assert world.record is not None
    assert (world.record.checkout_id, world.record.handed_out) == ("cs_1", False)


def test_what_has_expired_is_replaced_under_another_key(world: World) -> None:
    world.record, world.entries = made(handed_out=True), [listed(status="expired")]
    world.answers = [answered("cs_2", url="https://pay.example/cs_2")]
    bought = world.buys()

    assert (bought.generation, bought.checkout_id) == (1, "cs_2")
    assert [post["idempotency_key"] for post in world.posts] == [idempotency_key(*IDENTITY, 1, 50)]


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
        assert world.done == ["look", "save", "post", "save"]

    def test_a_link_without_an_id_is_claimed_once_it_is_found(self, world: World) -> None:
        world.answers = [answered(None)]
        world.meanwhile = lambda: world.entries.append(listed())
        bought = world.buys()

        assert world.done == [
            *("look", "save", "post", "save", "look", "sleep 10", "look"),
            *("claim cs_1", "let others claim", "save"),
        ]
        assert (bought.checkout_id, bought.payment_url, bought.handed_out) == ("cs_1", LINK, True)

    def test_what_others_claim_is_not_taken_from_the_list(self, world: World) -> None:
        world.record, world.time = asked(), after(60)
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OTHER)

        assert world.buys().paid == ("cs_2",)

    def test_what_is_its_own_already_is(self, world: World) -> None:
        world.record, world.time = asked(), after(60)
        world.entries = [listed(status="completed")]
        world.claim("cs_1", OWNER)

        assert world.buys().paid == ("cs_1",)

    def test_candidates_alone_are_looked_up(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_up: list[str] = []
        monkeypatch.setattr(VariableClaims, "owner", lambda _, checkout_id: looked_up.append(checkout_id))
        world.entries = [listed("cs_2", amount=20), listed("cs_3"), listed(None), listed("cs_1")]
        world.record = made(handed_out=True)
        world.buys()
        assert set(looked_up) == {"cs_1"}

        looked_up.clear()
        world.record, world.time = asked(), after(60)
        world.answers = [answered("cs_4")]
        world.buys()
        assert looked_up[:2] == ["cs_3", "cs_1"]
        assert set(looked_up) == {"cs_1", "cs_3", "cs_4"}

    def test_what_turns_out_to_be_anothers_while_it_is_taken_is_not_paid(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.record, world.time = asked(), after(60)
        world.entries, world.answers = [listed(status="completed")], [answered("cs_2")]
        # Of two that take it at once the last to write has it.
        monkeypatch.setattr(
            "airflow_provider_videodb.claims.time", SimpleNamespace(sleep=lambda _: world.claim("cs_1", OTHER))
        )
        bought = world.buys()

        assert (bought.checkout_id, bought.paid, bought.not_ours) == ("cs_2", (), ("cs_1",))
        assert "Checkouts cs_1 were paid, but they are another task's." in caplog.messages


class TestWithoutARecord:
    def test_its_claims_tell_what_it_has_paid(self, world: World) -> None:
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OWNER)
        world.claim("cs_2", OTHER)

        assert world.buys() == Purchase.from_claimed([listed(status="completed")])
        assert world.posts == []

    @pytest.mark.parametrize(
        ("entry", "is_own"),
        [
            (listed(status="completed", made_at=NOON - timedelta(minutes=5, seconds=1)), True),
            # It is older than the task, so its claim is that of another account or of nobody.
            (listed(status="completed", made_at=NOON - timedelta(minutes=5, seconds=1, microseconds=1)), False),
            (listed(status="completed", made_at=None), False),
        ],
    )
    def test_what_is_older_than_the_task_instance_is_not_looked_up(
        self, world: World, entry: Checkout, is_own: bool
    ) -> None:
        world.entries, world.answers = [entry], [answered("cs_2")]
        world.claim("cs_1", OWNER)

        assert world.buys().checkout_id == ("cs_1" if is_own else "cs_2")

    def test_an_entry_without_an_id_is_nobodys(self, world: World) -> None:
        world.entries, world.answers = [listed(None, "completed")], [answered()]
        world.claim("None", OWNER)

        assert world.buys().paid == ()

    def test_what_is_not_to_be_recorded_is_not_looked_for_either(self, world: World) -> None:
        world.durable = False
        world.entries, world.answers = [listed(status="completed")], [answered("cs_2")]
        world.claim("cs_1", OWNER)

        assert world.buys().checkout_id == "cs_2"


class TestAnotherAmount:
    @pytest.mark.parametrize("record", [asked(), made(handed_out=True)])
    def test_does_not_change_what_stands(
        self, world: World, record: Purchase, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.record, world.entries, world.time = record, [listed()], after(60)
        world.answers = [answered()]

        assert world.buys(70).amount == 50
        assert caplog.messages[0] == ("This task now asks for 70 USD, but a purchase of 50 USD was begun and stands.")

    def test_is_what_is_asked_for_where_all_was_refused(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.answers = asked(posts=(), generation=3), [answered(amount=70)]
        bought = world.buys(70)

        key = idempotency_key(*IDENTITY, 3, 70)
        assert (bought.amount, bought.generation, bought.key) == (70, 3, key)
        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == [(70, key)]
        assert caplog.messages == []

    def test_is_none_where_it_is_the_same(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.answers = asked(posts=()), [answered()]

        assert world.buys(50).key == asked().key
        assert caplog.messages == []


class TestWhatWasBegun:
    def test_is_what_is_recorded(self, world: World) -> None:
        world.record = asked()

        assert world.buyer.begun() == asked()
        assert world.done == []

    def test_is_what_its_claims_tell_where_the_record_is_removed(self, world: World) -> None:
        world.store.ends_with_run = False
        world.entries = [listed(status="completed"), listed("cs_2", "completed"), listed("cs_3")]
        world.claim("cs_2", OWNER)
        world.claim("cs_1", OTHER)

        begun = world.buyer.begun()
        assert begun is not None
        assert begun.paid == ("cs_2",)

    def test_is_nothing_where_nothing_of_its_own_is_paid(self, world: World) -> None:
        world.store.ends_with_run = False
        world.entries = [listed(), listed("cs_2", "completed")]
        world.claim("cs_1", OWNER)

        assert world.buyer.begun() is None

    def test_takes_no_look_where_the_record_would_be_there(self, world: World) -> None:
        assert world.buyer.begun() is None
        assert world.done == []


class TestAnAnswerOfAPerson:
    VARIABLE = "videodb_answer_0123456789abcdef"

    def test_is_followed_recorded_and_removed(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.entries, world.answers = asked(), [listed(status="disputed")], [answered("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert bought.checkout_id == "cs_2"
        # The list is not waited for: a person has looked.
        assert world.done[:5] == ["look", "save", "look", "save", "post"]
        assert self.VARIABLE not in world.variables.kept
        assert "Going on from the answer 'buy' that a person gave for this purchase." in caplog.messages

    def test_in_place_of_what_has_expired_begins_a_generation_with_a_key_of_its_own(self, world: World) -> None:
        world.record, world.entries, world.answers = asked(), [listed(status="expired")], [answered("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert (bought.generation, bought.key) == (1, idempotency_key(*IDENTITY, 1, 50))
        assert self.VARIABLE not in world.variables.kept

    def test_that_names_what_was_paid_ends_it(self, world: World) -> None:
        world.record, world.entries = asked(), [listed(status="completed"), listed("cs_2", "completed")]
        world.variables.kept[self.VARIABLE] = "cs_2"

        assert world.buys().paid == ("cs_2",)
        assert world.record == asked(checkout_id="cs_2", id_source="list", paid=("cs_2",))
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

    def test_that_cannot_be_followed_stays(self, world: World) -> None:
        world.record = asked()
        world.variables.kept[self.VARIABLE] = "cs_of_nobody"
        with pytest.raises(VideoDBPurchaseUnknownError, match="cs_of_nobody"):
            world.buys()

        assert world.record == asked()
        assert self.VARIABLE in world.variables.kept

    def test_to_what_was_refused_is_that_of_the_amount_asked_for_now(self, world: World) -> None:
        world.record, world.answers = asked(posts=()), [answered(amount=70)]
        variable = f"videodb_answer_{idempotency_key(*IDENTITY, 0, 70)[:16]}"
        world.variables.kept[variable] = "buy"
        world.buys(70)

        assert variable not in world.variables.kept


class TestSettling:
    @pytest.mark.parametrize(
        ("purchase", "claimed", "done"),
        [
            # A link that people had leads to no other task's checkout.
            (made(handed_out=True, paid=("cs_1",)), {"cs_1": OWNER}, ["save"]),
            (made(handed_out=True, paid=("cs_1",)), {}, ["claim cs_1", "save"]),
            (made(paid=("cs_1",)), {"cs_1": OWNER}, ["let others claim", "save"]),
            (made(orphans=("cs_2",), paid=("cs_2",)), {}, ["claim cs_2", "let others claim", "save"]),
            (made(handed_out=True, id_source="list", paid=("cs_1",)), {}, ["claim cs_1", "let others claim", "save"]),
            # The second one is reported and left to whoever has lost its answer.
            (made(handed_out=True, orphans=("cs_2",), paid=("cs_1", "cs_2")), {}, ["claim cs_1", "save"]),
            (made(handed_out=True, orphans=("cs_2",), paid=("cs_1", "cs_2")), {"cs_2": OWNER}, ["claim cs_1", "save"]),
        ],
    )
    def test_records_what_is_its_own(
        self, world: World, purchase: Purchase, claimed: dict[str, str], done: list[str]
    ) -> None:
        for checkout_id, owner in claimed.items():
            world.claim(checkout_id, owner)

        assert world.buyer.settle(purchase) == purchase
        assert world.done == done
        assert world.record == purchase

    @pytest.mark.parametrize(
        ("purchase", "claimed", "then"),
        [
            (
                made(orphans=("cs_2",), paid=("cs_2",)),
                ["cs_2"],
                made(not_ours=("cs_2",)),
            ),
            (
                made(handed_out=True, orphans=("cs_2",), paid=("cs_1", "cs_2")),
                ["cs_2"],
                made(handed_out=True, not_ours=("cs_2",), paid=("cs_1",)),
            ),
            (
                asked(orphans=("cs_2", "cs_3", "cs_4"), paid=("cs_2", "cs_3", "cs_4")),
                ["cs_2", "cs_3"],
                asked(not_ours=("cs_2", "cs_3"), orphans=("cs_4",), paid=("cs_4",)),
            ),
            (
                made(id_source="list", paid=("cs_1",)),
                ["cs_1"],
                asked(payment_url=LINK, not_ours=("cs_1",)),
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

        assert world.buyer.settle(purchase) == then
        assert world.record == then
        assert caplog.messages == [f"Checkouts {', '.join(claimed)} were paid, but they are another task's."]

    @pytest.mark.parametrize("paid", [("cs_1",), ("cs_1", "cs_2")])
    def test_stops_where_another_has_what_an_answer_named(self, world: World, paid: tuple[str, ...]) -> None:
        world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError, match="Checkout cs_1 over 50 USD was taken"):
            world.buyer.settle(made(handed_out=True, orphans=("cs_2",), paid=paid))

        assert world.record is None


class TestWhatBecameOfIt:
    @pytest.mark.parametrize(
        ("purchase", "entries", "words"),
        [
            (
                made(handed_out=True),
                [listed()],
                f"stays payable until it expires, and there is no call to cancel it: {LINK}",
            ),
            (made(handed_out=True), [listed(status="expired")], "expired unpaid: nothing can be paid any more."),
            (made(), [listed()], "Nobody has been shown a link to pay the 50 USD that were asked for."),
            (made(handed_out=True), [listed(status="disputed")], "has the status 'disputed'"),
        ],
    )
    def test_is_said_and_nothing_is_bought(
        self, world: World, purchase: Purchase, entries: list[Checkout], words: str
    ) -> None:
        world.entries = entries
        became, said = world.buyer.what_became_of(purchase)

        assert words in said
        assert became == purchase
        assert world.done == ["look"]

    def test_is_settled_where_it_is_paid(self, world: World) -> None:
        world.entries = [listed(status="completed")]
        became, said = world.buyer.what_became_of(made(handed_out=True))

        assert became == world.record == made(handed_out=True, paid=("cs_1",))
        assert said == "Checkout cs_1 over 50 USD was paid: its credits are on the account."
        assert world.posts == []

    def test_is_told_once_the_list_has_settled(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.entries = [listed(), listed("cs_2", "completed")]
        became, said = world.buyer.what_became_of(asked())

        assert world.done == ["look", "sleep 10", "look"]
        assert became == asked()
        assert "cannot be told" in said
        assert caplog.messages == ["Looking at the list of checkouts again in 10.0 s, since it may lag."]

    @pytest.mark.parametrize(
        "limits", [SpendLimits(max_topup_amount=Decimal(1)), SpendLimits(monthly_topup_limit=Decimal(1))]
    )
    @pytest.mark.parametrize(
        ("purchase", "status", "words"),
        [
            (made(handed_out=True), "expired", "expired unpaid: nothing can be paid any more."),
            (made(), "pending", "Nobody has been shown a link"),
        ],
    )
    def test_is_not_what_a_limit_would_stop(
        self, world: World, limits: SpendLimits, purchase: Purchase, status: str, words: str
    ) -> None:
        world.limits, world.entries = limits, [listed(status=status)]
        _, said = world.buyer.what_became_of(purchase)

        assert words in said
        assert world.done == ["look"]

    def test_is_not_what_another_task_has_claimed(self, world: World) -> None:
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OTHER)
        became, _ = world.buyer.what_became_of(asked(orphans=("cs_2",)))

        assert became == asked(orphans=("cs_2",), paid=("cs_2",))


class TestTheLimitsOfOnePurchase:
    @pytest.mark.parametrize(
        ("limits", "name"),
        [(SpendLimits(max_topup_amount=Decimal(49)), "max_topup_amount"), (SpendLimits(max_amount=49), "max_amount")],
    )
    def test_are_checked_without_a_look(self, world: World, limits: SpendLimits, name: str) -> None:
        world.limits = limits
        world.buyer.refuse_too_much(49)
        with pytest.raises(VideoDBLimitExceededError, match=name):
            world.buyer.refuse_too_much(50)

        assert world.done == []

    def test_are_not_that_of_the_month(self, world: World) -> None:
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1))
        world.buyer.refuse_too_much(50)


def test_the_clock_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(buyer, "time", SimpleNamespace(sleep=slept.append))
    clock = replace(World().buyer, clock=Clock()).clock
    before = datetime.now(UTC)

    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().tzinfo is UTC
    clock.sleep(1.5)
    assert slept == [1.5]
