"""Nothing is bought before a person has approved it, if a rule asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError, VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy
from airflow_provider_videodb.purchases.rules.approval_record import Approval, Ask, Outcome, OutcomeStatus
from airflow_provider_videodb.purchases.rules.decide import AskApproval
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from tests.support.checkouts import LINK_SHARED, NOON, after, asked, expired, responded

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.observation import Observation
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from tests.support.worlds import World

UNTIL = after(3600).isoformat()


class AskedError(Exception):
    """Ends the try, as a question does."""


@pytest.fixture
def questions(world: World) -> list[AskApproval]:
    """Keep what this try asks a person."""
    kept: list[AskApproval] = []

    def ask(asking: AskApproval, observation: Observation) -> NoReturn:
        assert observation.amount == asking.amount
        kept.append(asking)
        raise AskedError

    world.policy, world.ask = ApprovalPolicy(always=True), ask
    return kept


def approve(world: World, amount: int, status: OutcomeStatus = OutcomeStatus.APPROVED) -> None:
    """Keep the response of a person, before anything is bought."""
    question = Ask(amount=amount, currency="usd", at=NOON.isoformat(), until=UNTIL, max_tries=0, is_shown=True)
    outcome = Outcome(status=status, by="Ada", at=NOON.isoformat(), max_tries=0)
    record = {"format": 1, "try": world.this_try.id, "purchase": None}
    world.store.set("videodb_purchase", record | {"approval": Approval(asked=question, outcome=outcome).to_dict()})


def test_purchase_is_asked_for_before_its_post(world: World, questions: list[AskApproval]) -> None:
    with pytest.raises(AskedError):
        world.buys()

    assert questions == [AskApproval(amount=50, currency="usd")]
    assert world.posts == []


@pytest.mark.parametrize("granted", [50, 51])
def test_approved_purchase_is_made(world: World, questions: list[AskApproval], granted: int) -> None:
    approve(world, granted)
    world.responses = [responded()]

    assert world.buys().checkout_id == "cs_1"
    assert [post["amount"] for post in world.posts] == [50]
    assert questions == []


@pytest.mark.parametrize(
    ("granted", "status"), [(49, OutcomeStatus.APPROVED), (50, OutcomeStatus.REFUSED), (50, OutcomeStatus.TIMED_OUT)]
)
def test_other_response_is_no_approval(
    world: World, questions: list[AskApproval], granted: int, status: OutcomeStatus
) -> None:
    approve(world, granted, status)
    with pytest.raises(AskedError):
        world.buys()

    assert world.posts == []


@pytest.mark.parametrize("record", [asked(posts=()), LINK_SHARED])
def test_another_post_needs_the_approval_as_well(world: World, questions: list[AskApproval], record: Purchase) -> None:
    world.record, world.entries = record, [expired()]
    with pytest.raises(AskedError):
        world.buys()

    assert world.posts == []


def test_try_that_cannot_ask_buys_nothing(world: World) -> None:
    world.policy = ApprovalPolicy(always=True)
    with pytest.raises(VideoDBApprovalMissingError, match="A person has to approve 50 USD, because this task"):
        world.buys()

    assert world.posts == []


def test_limit_refuses_before_a_person_is_asked(world: World, questions: list[AskApproval]) -> None:
    world.limits = SpendLimits(max_amount=49)
    with pytest.raises(VideoDBLimitExceededError):
        world.buys()

    assert questions == []


def test_need_of_nothing_asks_nobody(world: World, questions: list[AskApproval]) -> None:
    world.needs = [0]

    assert world.obtains() is None
    assert questions == []


def test_request_in_required_actions_is_recorded(world: World) -> None:
    world.record = LINK_SHARED
    executor = world.executor
    executor.load_existing()
    executor.record_action(LINK_SHARED, max_tries=3)

    assert world.record.action_max_tries == 3
