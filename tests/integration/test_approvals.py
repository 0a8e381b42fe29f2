"""Ask a person before a purchase, with `dag.test()` and the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError, VideoDBApprovalRefusedError
from tests.support.approvals import Approver, cleared
from tests.support.compat import needs_responses_that_resume
from tests.support.purchases import TOPUP, Died, Point, PurchaseRuns, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person

POST = Point("purchases.posting.PostSender", "post")


def test_approved_purchase_is_made_once(approver: Approver, emulator: Emulator) -> None:
    approver.before_response = lambda: approver.notes.append(len(emulator.calls("POST")))
    bought = PurchaseRuns(amount=50, approval=True).run()

    assert bought.state == "success"
    # Nothing was sent before the response.
    assert approver.notes == [0]
    assert [one["options"] for one in approver.seen] == [["Approve 50 USD", "Refuse"]]
    assert len(emulator.calls("POST")) == 1


def test_request_says_why_and_what_the_month_may_cost(
    approver: Approver, emulator: Emulator, connect: Callable[..., None]
) -> None:
    connect(monthly_topup_limit=100, approval_above=0)
    emulator.set_balance(70)
    PurchaseRuns("EnsureCreditsOperator", credits=120).run()

    (request,) = approver.seen
    body = request["body"].replace("\\", "")
    assert request["subject"] == "Approve 50 USD for VideoDB credits?"
    assert "120 credits are needed. 70 are available, so 50 are missing." in body
    assert "0 USD are paid and 0 USD can still be paid" in body
    assert "allows 100 USD, so 100 USD are left before this purchase" in body
    assert "DAG purchasing, run manual__" in body
    assert "approval_above of connection videodb_default is 0 USD" in body
    assert "Respond by: 20" in body


@pytest.mark.parametrize(
    ("arguments", "extra", "asks"),
    [
        ({}, {}, False),
        ({"approval": False}, {"approval_above": 49}, True),
        ({"approval_above": 1000}, {"approval_above": "49.99"}, True),
        ({"approval_above": 50}, {"approval_above": 50}, False),
        ({"approval_above": "{{ 49 }}"}, {"approval_above": 1000}, True),
        ({"approval": True, "approval_above": 1000}, {"approval_above": 1000}, True),
    ],
    ids=str,
)
def test_tightest_rule_asks(
    approver: Approver, connect: Callable[..., None], *, arguments: dict[str, Any], extra: dict[str, Any], asks: bool
) -> None:
    connect(**extra)

    assert PurchaseRuns(amount=50, **arguments).run().state == "success"
    assert bool(approver.seen) is asks


class TestRefusal:
    @pytest.fixture
    def runs(self, approver: Approver) -> PurchaseRuns:
        approver.choose = lambda options: options[1:]
        return PurchaseRuns(amount=50, approval=True, retries=3)

    def test_refused_purchase_is_not_made(self, runs: PurchaseRuns, emulator: Emulator) -> None:
        bought = runs.run()

        assert (bought.state, bought.tries) == ("failed", 1)
        assert isinstance(bought.cause, VideoDBApprovalRefusedError)
        assert "Ada (id 7) refused to buy credits for 50 USD" in str(bought.cause)
        assert "clear this task" in str(bought.cause)
        assert emulator.calls("POST") == []

    def test_retry_does_not_ask_again(
        self, runs: PurchaseRuns, approver: Approver, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The worker dies once the refusal is recorded, so Airflow retries the task.
        Point("purchases.journal.Journal", "save_approval", after=True, nth=3).breaks(Died(), monkeypatch)
        bought = runs.run()

        assert (bought.state, bought.tries) == ("failed", 2)
        assert isinstance(bought.cause, VideoDBApprovalRefusedError)
        assert len(approver.seen) == 1
        assert emulator.calls("POST") == []

    def test_clear_asks_again(self, runs: PurchaseRuns, approver: Approver) -> None:
        refused = runs.run()
        approver.choose = lambda options: options[:1]
        cleared(refused)
        bought = runs.clear(refused)

        assert bought.state == "success"
        assert len(approver.seen) == 2


@pytest.mark.parametrize(
    "chosen",
    [
        ["Approve 5000 USD"],
        ["Approve"],
        pytest.param([], marks=needs_responses_that_resume),
        ["Approve 50 USD", "Refuse"],
        ["approve 50 USD"],
    ],
    ids=str,
)
def test_option_that_was_not_offered_buys_nothing(approver: Approver, emulator: Emulator, chosen: list[str]) -> None:
    approver.choose = lambda _: chosen
    bought = PurchaseRuns(amount=50, approval=True).run()

    assert isinstance(bought.cause, VideoDBApprovalRefusedError)
    assert "a response that this task did not offer" in str(bought.cause)
    assert emulator.calls("POST") == []


@needs_responses_that_resume
def test_approval_by_nobody_buys_nothing(approver: Approver, emulator: Emulator) -> None:
    approver.user = None
    bought = PurchaseRuns(amount=50, approval=True).run()

    assert isinstance(bought.cause, VideoDBApprovalRefusedError)
    assert emulator.calls("POST") == []


class TestNobodyInTime:
    @pytest.fixture(autouse=True)
    def no_response(self, approver: Approver) -> None:
        approver.choose = lambda _: None

    def test_purchase_is_refused(self, emulator: Emulator) -> None:
        bought = PurchaseRuns(amount=50, approval=True, retries=2).run()

        assert (bought.state, bought.tries) == ("failed", 1)
        assert isinstance(bought.cause, VideoDBApprovalRefusedError)
        assert "Nobody approved 50 USD" in str(bought.cause)
        assert emulator.calls("POST") == []

    def test_credits_that_came_meanwhile_start_the_job(self, approver: Approver, emulator: Emulator) -> None:
        approver.before_response = lambda: emulator.set_balance(120)
        bought = PurchaseRuns("EnsureCreditsOperator", credits=120, approval=True).run()

        assert (bought.state, bought.result["status"]) == ("success", "filled")
        assert emulator.calls("POST") == []


class TestOneQuestion:
    @pytest.fixture
    def runs(self) -> PurchaseRuns:
        return PurchaseRuns(amount=50, approval=True, retries=2)

    @pytest.mark.parametrize(
        "death",
        [
            # Asked, and killed before the wait; the response is there when the next try waits.
            Point("operators._approval_run.ApprovalDesk", "park"),
            # Approved, and killed before the approval is recorded.
            Point("operators._approval_run.ApprovalDesk", "record"),
            Point("operators._approval_run.ApprovalDesk", "record", after=True),
            POST,
            Point("purchases.posting.PostSender", "_record_intent", after=True),
            Point("api.client.BillingClient", "topup", after=True),
            Point("purchases.posting.PostSender", "_save_checkout"),
            Point("purchases.executor.PurchaseExecutor", "_share_link", after=True),
            Point("operators._purchasing.PurchasingOperator", "wait"),
        ],
        ids=lambda point: f"{point.method}{'-after' * point.after}",
    )
    def test_death_asks_no_second_question(
        self,
        runs: PurchaseRuns,
        approver: Approver,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        *,
        death: Point,
    ) -> None:
        met = death.breaks(Died(), monkeypatch)
        bought = runs.run()

        assert met
        assert bought.state == "success"
        assert len(approver.seen) == 1
        assert len([one for one in emulator.checkouts() if one.status == "completed"]) == 1

    def test_lost_response_asks_no_second_question(
        self, runs: PurchaseRuns, approver: Approver, emulator: Emulator
    ) -> None:
        emulator.add_fault("drop_after", method="POST", path=TOPUP)
        bought = runs.run()

        assert bought.state == "success"
        assert len(approver.seen) == 1

    def test_expired_checkout_is_replaced_without_a_question(
        self, runs: PurchaseRuns, approver: Approver, person: Person
    ) -> None:
        person.while_waiting = in_turn(person.expires, person.pays)
        bought = runs.run()

        assert bought.state == "success"
        assert len(approver.seen) == 1


class TestGrownNeed:
    @pytest.fixture
    def runs(self, emulator: Emulator) -> PurchaseRuns:
        emulator.set_balance(70)
        return PurchaseRuns("EnsureCreditsOperator", credits=120, approval=True, retries=2)

    def test_larger_purchase_than_approved_is_not_made(
        self, runs: PurchaseRuns, approver: Approver, emulator: Emulator
    ) -> None:
        approver.before_response = lambda: emulator.set_balance(40)
        bought = runs.run()

        assert (bought.state, bought.tries) == ("failed", 1)
        assert isinstance(bought.cause, VideoDBApprovalMissingError)
        assert "now needs 80 USD, and its approval request says 50 USD" in str(bought.cause)
        assert "start a new DAG run" in str(bought.cause)
        assert emulator.calls("POST") == []

    def test_smaller_purchase_than_approved_is_made(
        self, runs: PurchaseRuns, approver: Approver, emulator: Emulator
    ) -> None:
        approver.before_response = lambda: emulator.set_balance(90)
        bought = runs.run()

        assert bought.result["amount"] == 30
        assert len(approver.seen) == 1

    def test_nothing_is_bought_if_nothing_is_missing_any_more(
        self, runs: PurchaseRuns, approver: Approver, emulator: Emulator
    ) -> None:
        approver.before_response = lambda: emulator.set_balance(120)
        bought = runs.run()

        assert (bought.state, bought.result["status"]) == ("success", "filled")
        assert emulator.calls("POST") == []


def test_limit_comes_before_the_question(approver: Approver, connect: Callable[..., None]) -> None:
    connect(max_topup_amount=49, approval_above=0)
    bought = PurchaseRuns(amount=50).run()

    assert "max_topup_amount" in str(bought.cause)
    assert approver.seen == []


def test_task_without_a_triggerer_waits_without_a_worker(approver: Approver) -> None:
    bought = PurchaseRuns("EnsureCreditsOperator", credits=50, approval=True, deferrable=False).run()

    assert bought.state == "success"
    assert len(approver.seen) == 1
