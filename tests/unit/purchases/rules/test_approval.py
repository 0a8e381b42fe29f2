"""Decide which purchases a person approves, and read what Airflow returns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError, VideoDBApprovalRefusedError
from airflow_provider_videodb.purchases.rules.approval import (
    ApprovalPolicy,
    check_approved,
    check_unpriced,
    is_approved,
    next_request,
    read_response,
)
from airflow_provider_videodb.purchases.rules.approval_record import Approval, Ask, Outcome, OutcomeStatus
from airflow_provider_videodb.purchases.rules.approval_texts import refused_error

NOW = datetime(2026, 11, 26, 7, tzinfo=UTC)
ASK = Ask(amount=50, currency=None, at=NOW.isoformat(), until=NOW.isoformat(), max_tries=2, is_shown=True)
ADA = {"id": "7", "name": "Ada"}
APPROVED = {"chosen_options": ["Approve 50 USD"], "responded_by_user": ADA, "responded_at": NOW, "timedout": False}

amounts = st.integers(1, 10_000)
lines = st.none() | st.decimals(0, 10_000, places=2)


def outcome(status: OutcomeStatus = OutcomeStatus.APPROVED, *, max_tries: int = 2) -> Outcome:
    return Outcome(status=status, by="Ada", at=NOW.isoformat(), max_tries=max_tries)


def approved(amount: int = 50, currency: str | None = None) -> Approval:
    return Approval(asked=replace(ASK, amount=amount, currency=currency), outcome=outcome())


def request(approval: Approval, amount: int = 50, **how: Any) -> Ask:
    arguments: dict[str, Any] = {
        "currency": None,
        "now": NOW + timedelta(hours=1),
        "timeout": 60,
        "max_tries": 2,
        "conn_id": None,
    }
    return next_request(approval, amount, **arguments | how)


class TestPolicy:
    @given(amount=amounts, always=st.booleans(), task=lines, connection=lines)
    def test_tightest_rule_holds(
        self, *, amount: int, always: bool, task: Decimal | None, connection: Decimal | None
    ) -> None:
        each = [
            ApprovalPolicy(always=always),
            ApprovalPolicy(task_above=task),
            ApprovalPolicy(connection_above=connection),
        ]
        together = ApprovalPolicy(always=always, task_above=task, connection_above=connection)

        assert together.asks_for(amount, currency="usd") is any(one.asks_for(amount, currency="usd") for one in each)

    @pytest.mark.parametrize(("amount", "asks"), [(49, False), (50, False), (51, True)])
    def test_amount_equal_to_the_line_is_not_asked_for(self, *, amount: int, asks: bool) -> None:
        assert ApprovalPolicy(task_above=Decimal(50)).asks_for(amount, currency=None) is asks

    def test_another_currency_is_asked_for(self) -> None:
        assert ApprovalPolicy(task_above=Decimal(1000)).asks_for(1, currency="eur")
        assert not ApprovalPolicy().asks_for(1, currency="eur")

    @pytest.mark.parametrize(
        ("policy", "rule"),
        [
            (ApprovalPolicy(always=True), "this task asks before each purchase (approval=True)"),
            (ApprovalPolicy(task_above=Decimal("12.50")), "approval_above of this task is 12.5 USD"),
            (ApprovalPolicy(always=True, connection_above=Decimal(0), conn_id="c"), "of connection c is 0 USD"),
            (ApprovalPolicy(connection_above=Decimal(9)), "of the connection is 9 USD"),
            (ApprovalPolicy(task_above=Decimal(5), connection_above=Decimal(9)), "of this task is 5 USD"),
        ],
        ids=str,
    )
    def test_rule_is_the_one_that_asks(self, policy: ApprovalPolicy, rule: str) -> None:
        assert rule in policy.rule


class TestCheck:
    @given(amount=amounts, granted=st.none() | amounts, line=lines)
    @example(amount=50, granted=50, line=Decimal(49))
    @example(amount=51, granted=50, line=Decimal(50))
    @example(amount=50, granted=None, line=Decimal(50))
    def test_nothing_above_the_line_and_the_approval_passes(
        self, *, amount: int, granted: int | None, line: Decimal | None
    ) -> None:
        policy = ApprovalPolicy(connection_above=line)
        approval = Approval() if granted is None else approved(granted)
        may_buy = line is None or amount <= line or (granted is not None and amount <= granted)

        assert is_approved(policy, approval, amount, currency=None) is may_buy
        if may_buy:
            check_approved(policy, approval, amount, currency=None)
        else:
            with pytest.raises(VideoDBApprovalMissingError, match="TopupOperator or EnsureCreditsOperator"):
                check_approved(policy, approval, amount, currency=None)

    @pytest.mark.parametrize("status", [status for status in OutcomeStatus if status is not OutcomeStatus.APPROVED])
    def test_other_outcome_covers_nothing(self, status: OutcomeStatus) -> None:
        assert not Approval(asked=ASK, outcome=outcome(status)).covers(1, currency=None, conn_id=None)

    def test_open_request_covers_nothing(self) -> None:
        assert not Approval(asked=ASK).covers(1, currency=None, conn_id=None)

    @pytest.mark.parametrize(("approved_in", "bought_in", "covers"), [(None, "USD", True), ("eur", "usd", False)])
    def test_approval_is_for_one_currency(self, *, approved_in: str | None, bought_in: str, covers: bool) -> None:
        assert approved(currency=approved_in).covers(50, currency=bought_in, conn_id=None) is covers

    def test_approval_is_for_one_connection(self) -> None:
        other = ApprovalPolicy(connection_above=Decimal(10), conn_id="other")

        assert not is_approved(other, approved(), 50, currency=None)

    def test_unknown_price_needs_a_policy_that_asks_nobody(self) -> None:
        check_unpriced("A subscription", ApprovalPolicy())
        with pytest.raises(VideoDBApprovalMissingError, match="A subscription cannot be approved, because its price"):
            check_unpriced("A subscription", ApprovalPolicy(connection_above=Decimal(1_000_000)))


class TestNextRequest:
    def test_first_request_counts_its_time_from_now(self) -> None:
        asked = request(Approval())

        assert (asked.amount, asked.is_shown) == (50, False)
        assert asked.until == (NOW + timedelta(hours=1, seconds=60)).isoformat()

    def test_retry_continues_an_open_request(self) -> None:
        assert request(Approval(asked=ASK)) == ASK

    def test_clear_gives_an_open_request_new_time(self) -> None:
        asked = request(Approval(asked=ASK), max_tries=3)

        assert asked.is_shown
        assert asked.until > ASK.until

    @pytest.mark.parametrize("status", [status for status in OutcomeStatus if status is not OutcomeStatus.APPROVED])
    def test_retry_does_not_ask_after_a_refusal(self, status: OutcomeStatus) -> None:
        with pytest.raises(VideoDBApprovalRefusedError, match="Next step: clear this task"):
            request(Approval(asked=ASK, outcome=outcome(status)))

    def test_clear_asks_after_a_refusal(self) -> None:
        asked = request(Approval(asked=ASK, outcome=outcome(OutcomeStatus.REFUSED)), max_tries=3)

        # Airflow has to remove the response first.
        assert not asked.is_shown

    def test_smaller_amount_keeps_the_text_that_airflow_shows(self) -> None:
        assert request(Approval(asked=ASK), 30, max_tries=3).options == ASK.options

    @pytest.mark.parametrize("approval", [Approval(asked=ASK), approved()], ids=["open", "approved"])
    def test_larger_amount_needs_another_task_instance(self, approval: Approval) -> None:
        with pytest.raises(VideoDBApprovalMissingError, match="now needs 51 USD, and its approval request says 50"):
            request(approval, 51)

    def test_other_connection_needs_another_task_instance(self) -> None:
        with pytest.raises(VideoDBApprovalMissingError, match="50 USD on connection other, and its approval request"):
            request(Approval(asked=ASK), conn_id="other")

    def test_other_approvers_need_another_task_instance(self) -> None:
        with pytest.raises(VideoDBApprovalMissingError, match="one to approve 50 USD to ada"):
            request(Approval(asked=ASK), approvers=("ada",))


class TestResponse:
    def read(self, event: object) -> Outcome:
        return read_response(event, ASK, now=NOW, max_tries=2)

    def test_offered_option_approves(self) -> None:
        assert self.read(APPROVED) == replace(outcome(), by="Ada (id 7)")

    @pytest.mark.parametrize("late", [timedelta(seconds=1), timedelta(days=2)], ids=str)
    def test_approval_after_the_time_is_too_late(self, late: timedelta) -> None:
        outcome = self.read(APPROVED | {"responded_at": NOW + late})

        assert outcome.status is OutcomeStatus.TIMED_OUT
        text = str(refused_error(outcome, ASK))
        assert "Nobody approved 50 USD for credits by 2026-11-26 07:00:00 UTC" in text
        assert "Ada (id 7) approved it too late." in text

    @pytest.mark.parametrize("at", [None, "yesterday"], ids=str)
    def test_approval_of_an_unknown_moment_counts_from_now(self, at: object) -> None:
        unknown = APPROVED | {"responded_at": at}

        assert self.read(unknown).status is OutcomeStatus.APPROVED
        late = read_response(unknown, ASK, now=NOW + timedelta(seconds=1), max_tries=2)
        assert late.status is OutcomeStatus.TIMED_OUT

    def test_refusal_after_the_time_is_a_refusal(self) -> None:
        late = APPROVED | {"chosen_options": ["Refuse"], "responded_at": NOW + timedelta(days=2)}

        assert self.read(late).status is OutcomeStatus.REFUSED

    def test_refusal_names_the_person(self) -> None:
        refused = self.read(APPROVED | {"chosen_options": ["Refuse"]})

        assert (refused.status, refused.by) == (OutcomeStatus.REFUSED, "Ada (id 7)")

    @pytest.mark.parametrize(
        "event",
        [
            {"error": "The timeout has passed.", "error_type": "timeout"},
            APPROVED | {"timedout": True},
            {"timedout": True},
        ],
        ids=str,
    )
    def test_time_that_ran_out_is_no_approval(self, event: object) -> None:
        assert self.read(event).status is OutcomeStatus.TIMED_OUT

    @pytest.mark.parametrize(
        "event",
        [
            None,
            "approved",
            [],
            {},
            APPROVED | {"chosen_options": "Approve 50 USD"},
            APPROVED | {"chosen_options": ["Approve 51 USD"]},
            APPROVED | {"chosen_options": ["Approve 50 USD", "Refuse"]},
            APPROVED | {"chosen_options": [["Approve 50 USD"]]},
            APPROVED | {"chosen_options": None},
            APPROVED | {"params_input": {"amount": 5000}},
            APPROVED | {"responded_by_user": None},
            APPROVED | {"responded_by_user": {"id": "", "name": "Ada"}},
            APPROVED | {"responded_by_user": "Ada"},
            APPROVED | {"error": "odd", "error_type": "unknown"},
        ],
        ids=str,
    )
    def test_anything_else_is_no_approval(self, event: object) -> None:
        assert self.read(event).status is OutcomeStatus.NOT_UNDERSTOOD

    @given(
        event=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["Approve 50 USD", "Refuse"]),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(sorted(APPROVED)) | st.text(max_size=3), inner)
            ),
        )
    )
    def test_only_the_exact_option_of_a_person_approves(self, event: Any) -> None:
        if self.read(event).status is OutcomeStatus.APPROVED:
            assert list(event["chosen_options"]) == ["Approve 50 USD"]
            assert event["responded_by_user"]["id"]

    @pytest.mark.parametrize("at", ["2026-11-26T06:00:00+00:00", datetime(2026, 11, 26, 6, tzinfo=UTC)], ids=str)
    def test_moment_is_the_one_of_the_response(self, at: object) -> None:
        assert self.read(APPROVED | {"responded_at": at}).at == "2026-11-26T06:00:00+00:00"

    @pytest.mark.parametrize("at", [None, 5, "soon", "2026-11-26T06:00:00", datetime(2026, 11, 26, 6)], ids=str)  # noqa: DTZ001 - a moment without a zone
    def test_unreadable_moment_becomes_now(self, at: object) -> None:
        assert self.read(APPROVED | {"responded_at": at}).at == NOW.isoformat()

    def test_name_without_an_id_of_its_own_stands_alone(self) -> None:
        assert self.read(APPROVED | {"responded_by_user": {"id": "ada", "name": "ada"}}).by == "ada"
