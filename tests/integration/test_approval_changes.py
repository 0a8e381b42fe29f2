"""What changes between an approval and its purchase, with `dag.test()` and the emulator."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError
from tests.support.compat import needs_responses_that_resume
from tests.support.purchases import Died, Point, PurchaseRuns

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.approvals import Approver

POST = Point("purchases.posting.PostSender", "post")


class TestChangeAfterTheApproval:
    """What a person has seen is what is bought, whatever changes until the POST."""

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"amount": 500}, "now needs 500 USD, and its approval request says 50 USD"),
            ({"amount": 51}, "now needs 51 USD, and its approval request says 50 USD"),
            ({"currency": "eur"}, "now needs 50 EUR, and its approval request says 50 USD"),
        ],
        ids=str,
    )
    def test_edited_dag_buys_nothing_else(
        self, approver: Approver, emulator: Emulator, *, changed: dict[str, Any], says: str
    ) -> None:
        runs = PurchaseRuns(amount=50, approval=True)
        approver.before_response = lambda: vars(runs.task).update(changed)
        bought = runs.run()

        assert isinstance(bought.cause, VideoDBApprovalMissingError)
        assert says in str(bought.cause)
        assert emulator.calls("POST") == []

    @pytest.mark.parametrize(
        ("changed", "says"),
        [({"amount": 500}, "now needs 500 USD"), ({"approval": False, "amount": 500}, "now needs 500 USD")],
        ids=str,
    )
    def test_retry_of_an_edited_dag_buys_nothing_else(
        self,
        approver: Approver,
        emulator: Emulator,
        connect: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        *,
        changed: dict[str, Any],
        says: str,
    ) -> None:
        connect(approval_above=10)
        runs = PurchaseRuns(amount=50, approval=True, retries=1)

        def edit_and_die() -> None:
            vars(runs.task).update(changed)
            raise Died

        met = POST.does(edit_and_die, monkeypatch)
        bought = runs.run()

        assert met
        assert isinstance(bought.cause, VideoDBApprovalMissingError)
        assert says in str(bought.cause)
        assert emulator.calls("POST") == []

    @pytest.mark.parametrize("retries", [0, 1], ids=["on the response", "on a retry"])
    def test_approval_does_not_pass_to_another_connection(
        self,
        approver: Approver,
        emulator: Emulator,
        connect: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        *,
        retries: int,
    ) -> None:
        # The person saw what the month of the first connection may still spend.
        connect(approval_above=10)
        other = emulator.add_account("other")
        theirs = other.connection | {"extra": {"approval_above": 10}}
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(theirs))
        runs = PurchaseRuns(amount=50, retries=retries)
        edit = partial(setattr, runs.task, "videodb_conn_id", "other")

        def edit_and_die() -> None:
            edit()
            raise Died

        if retries:
            POST.does(edit_and_die, monkeypatch)
        else:
            approver.before_response = edit
        bought = runs.run()

        assert isinstance(bought.cause, VideoDBApprovalMissingError)
        assert "connection other" in str(bought.cause)
        assert emulator.calls("POST") == other.calls("POST") == []

    def test_lower_line_of_the_connection_asks_no_second_question(
        self, approver: Approver, emulator: Emulator, connect: Callable[..., None]
    ) -> None:
        connect(approval_above=49)
        approver.before_response = lambda: connect(approval_above=0)
        bought = PurchaseRuns(amount=50).run()

        assert bought.state == "success"
        assert len(approver.seen) == 1
        assert len(emulator.calls("POST")) == 1

    def test_line_that_appears_asks_before_a_lost_post_is_sent_again(
        self, approver: Approver, emulator: Emulator, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def draw_and_die() -> None:
            connect(approval_above=10)
            raise Died

        approver.before_response = lambda: approver.notes.append(len(emulator.calls("POST")))
        Point("api.client.BillingClient", "topup", after=True).does(draw_and_die, monkeypatch)
        bought = PurchaseRuns(amount=50, retries=2).run()

        assert bought.state == "success"
        assert approver.notes == [1]
        assert len([one for one in emulator.checkouts() if one.status == "completed"]) == 1

    def test_limit_that_others_reach_meanwhile_holds(
        self, approver: Approver, emulator: Emulator, connect: Callable[..., None], other_client: BillingClient
    ) -> None:
        connect(approval_above=0, monthly_topup_limit=60)
        approver.before_response = lambda: other_client.topup(20)
        bought = PurchaseRuns(amount=50).run()

        assert "monthly_topup_limit" in str(bought.cause)
        assert [one.amount for one in emulator.checkouts()] == [20]


@needs_responses_that_resume
class TestGateThatWaitsForOthers:
    """
    A person responds after the gate has stopped to wait for the response.

    The credits came meanwhile, and others kept the gate closed. Airflow then resumes the wait for them.
    """

    @pytest.mark.parametrize(
        ("choice", "state", "posts"), [(0, "success", 1), (1, "failed", 0)], ids=["approved", "refused"]
    )
    def test_response_counts(
        self,
        approver: Approver,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        *,
        choice: int,
        state: str,
        posts: int,
    ) -> None:
        approver.choose = lambda options: options[choice : choice + 1]
        monkeypatch.setattr("airflow_provider_videodb.operators._approval_run.RESUME_METHOD", "execute_complete")
        bought = PurchaseRuns("EnsureCreditsOperator", credits=20, approval=True).run()

        assert bought.state == state
        assert len(emulator.calls("POST")) == posts
        assert len(approver.seen) == 1
        if state == "failed":
            assert "refused to buy credits for 17 USD" in str(bought.cause)
