"""
Asks the approver, and records the response.

No worker waits meanwhile. From Airflow 3.3 on, the task is *Awaiting Input*, which needs no triggerer either. Airflow
keeps one request per task instance for all its tries, with the response. If a try dies before it has
recorded the response, the next one gets it when it waits again. So nobody is asked twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_videodb.exceptions import VideoDBPurchaseError
from airflow_provider_videodb.purchases.rules.approval import next_request, read_response
from airflow_provider_videodb.purchases.rules.approval_record import OutcomeStatus
from airflow_provider_videodb.purchases.rules.approval_texts import (
    ApprovalRequest,
    describe_month,
    other_request_error,
    refused_error,
)
from airflow_provider_videodb.purchases.rules.required_action import read_response as read_payment_response
from airflow_provider_videodb.purchases.variables import CHECK_AIRFLOW, ask_airflow, describe_cause
from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
    from airflow_provider_videodb.operators._messages import PaymentMessages
    from airflow_provider_videodb.operators._purchase_run import PurchaseRequest
    from airflow_provider_videodb.operators._purchasing import PurchasingOperator
    from airflow_provider_videodb.purchases.executor import PurchaseExecutor
    from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy
    from airflow_provider_videodb.purchases.rules.approval_record import Ask
    from airflow_provider_videodb.purchases.rules.decide import AskApproval
    from airflow_provider_videodb.purchases.rules.observation import Observation

#: The method of an operator that a response resumes.
RESUME_METHOD = "execute_response"
#: Airflow waits at least this many seconds for a response that may be there already.
_SHORTEST_WAIT = 5.0


@dataclass(frozen=True, kw_only=True)
class ApprovalDesk:
    """
    Asks about the one purchase of a task instance.

    :param ti: Airflow's task instance.
    :param timeout: seconds that a person has to respond.
    :param approvers: who may respond, by Airflow's user id and name; everybody who may, if it is empty.
    """

    task: PurchasingOperator
    ti: Any
    executor: PurchaseExecutor
    timeout: float
    approvers: Sequence[dict[str, str]] = ()

    def ask(self, asking: AskApproval, observation: Observation, *, reason: str, announce: Callable[[], object]) -> Ask:
        """
        Show the approval request, unless Airflow shows it already.

        :param reason: why the task buys.
        :param announce: sends the request to people, once Airflow shows it. Each try calls it, because the last one may
            have died before it reached everybody.
        :raises VideoDBApprovalRefusedError: if a person refused it, and nobody has cleared the task since.
        :raises VideoDBApprovalMissingError: if Airflow shows a request for a smaller amount or another connection.
        """
        now, journal = datetime.now(UTC), self.executor.journal
        ask = next_request(
            journal.approval,
            asking.amount,
            currency=asking.currency,
            now=now,
            timeout=self.timeout,
            max_tries=self.ti.max_tries,
            conn_id=self.executor.policy.conn_id,
            approvers=tuple(approver["id"] for approver in self.approvers),
        )
        journal.save_approval(journal.approval.asking(ask))
        self.task.approval_request = self._request(ask, asking, observation, reason)
        if not ask.is_shown:
            # Airflow would remove the response of a request that is sent again.
            self.executor.current_try.check()
            self._show(ask, self.task.approval_request.body(ask, now=now))
            ask = replace(ask, is_shown=True)
            journal.save_approval(journal.approval.asking(ask))
        announce()
        return ask

    def record(self, event: object) -> None:
        """
        Record the response before the task acts on it.

        :raises VideoDBApprovalRefusedError: if somebody refused the purchase.
        """
        journal = self.executor.journal
        journal.load()
        approval = journal.approval
        if approval.asked is None:
            raise VideoDBPurchaseError(
                "Airflow returned a response, but this task has no record of asking for an approval. Nothing was "
                "bought. Next step: clear this task. It asks again if it still has to buy."
            )
        outcome = approval.outcome
        if outcome is None:
            outcome = read_response(event, approval.asked, now=datetime.now(UTC), max_tries=self.ti.max_tries)
            journal.save_approval(approval.ended(outcome))
        match outcome.status:
            case OutcomeStatus.APPROVED:
                self.task.log.info("%s approved %s.", outcome.by, approval.asked.price)
            case OutcomeStatus.TIMED_OUT:
                # The credits may be there by now. If they are not, the task fails before it asks again.
                self.task.log.info("Nobody approved %s in time, so the task buys nothing.", approval.asked.price)
            case _:
                raise refused_error(outcome, approval.asked)

    def park(self, ask: Ask, *, may_have_response: bool) -> NoReturn:
        """
        End this run until a response or the timeout.

        :param may_have_response: whether an earlier run asked. Airflow resumes a task at once if its response is there.
            The scheduler then takes the end of this worker for that of the resumed task, and fails it. A trigger reads
            the response later.
        """
        until = datetime.fromisoformat(ask.until)
        left = timedelta(seconds=max(_SHORTEST_WAIT, (until - datetime.now(UTC)).total_seconds()))
        if RESPONSES_RESUME_TASKS and not may_have_response:
            from airflow.sdk.exceptions import TaskAwaitingInput

            raise TaskAwaitingInput(method_name=RESUME_METHOD, timeout=left)
        from airflow.providers.standard.triggers.hitl import HITLTrigger

        self.task.defer(
            trigger=HITLTrigger(
                ti_id=self.ti.id,
                options=list(ask.options),
                params={},
                multiple=False,
                timeout_datetime=datetime.now(UTC) + left,
            ),
            method_name=RESUME_METHOD,
            # In case the triggerer cannot end the wait.
            timeout=left + timedelta(seconds=60),
        )

    def _request(self, ask: Ask, asking: AskApproval, observation: Observation, reason: str) -> ApprovalRequest:
        request = ApprovalRequest.of(
            ask,
            ti=self.ti,
            reason=reason,
            rule=self.executor.policy.rule,
            month=describe_month(observation.limits, checkouts=observation.checkouts, now=observation.now),
        )
        # The purchase may be smaller than what Airflow's request allows.
        return replace(request, amount=asking.amount, currency=asking.currency or "usd")

    def _show(self, ask: Ask, body: str) -> None:
        """
        Show the request.

        :raises VideoDBPurchaseError: if Airflow does not show this one.
        """
        from airflow.sdk.api.datamodels._generated import HITLUser
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload

        request = self.task.approval_request
        try:
            shown = ask_airflow(
                CreateHITLDetailPayload(
                    ti_id=self.ti.id,
                    options=list(ask.options),
                    subject="" if request is None else request.subject,
                    body=body,
                    defaults=None,
                    multiple=False,
                    params={},
                    assigned_users=[HITLUser(**approver) for approver in self.approvers],
                )
            )
            options = list(shown.options)
            people = [user.id for user in shown.assigned_users or ()]
        except Exception as err:
            raise VideoDBPurchaseError(
                f"Airflow did not show the request to approve {ask.price} ({describe_cause(err)}). Nothing was "
                f"bought. {CHECK_AIRFLOW}"
            ) from err
        if options != list(ask.options) or people != list(ask.approvers):
            raise other_request_error(ask)


def is_late_response(event: object, get_executor: Callable[[], PurchaseExecutor]) -> bool:
    """
    Say whether a response to an approval is late.

    The task no longer waits for it. Airflow keeps such a request open, and a response resumes the task in whatever it
    waits for by then.
    """
    if read_payment_response(event) is None:
        return False
    executor = get_executor()
    executor.load_existing()
    # A task that has asked for an approval never asks for a payment.
    return executor.journal.approval.asked is not None


class AsksForApproval:
    """
    What a run does about approvals.

    :param reason: why the task buys.
    :param has_asked: whether this run follows an approval request.
    """

    task: PurchasingOperator
    hook: VideoDBBillingHook
    reason = ""
    has_asked = False

    @property
    def desk(self) -> ApprovalDesk:
        """The desk that asks the approver."""
        raise NotImplementedError

    @property
    def messages(self) -> PaymentMessages:
        """The messages of the notifiers."""
        raise NotImplementedError

    def approval_policy(self, request: PurchaseRequest | None) -> ApprovalPolicy:
        """Return which purchases need an approval."""
        policy = self.hook.settings.approval_policy
        if request is None:
            return policy
        return replace(policy, always=request.approval, task_above=request.approval_above)

    def ask(self, asking: AskApproval, observation: Observation) -> NoReturn:
        """Ask a person, and end this run until then."""
        with self.messages.on_failure():
            desk = self.desk
            was_open = desk.executor.journal.approval.is_open
            ask = desk.ask(asking, observation, reason=self.reason, announce=self.announce_approval)
        self.park(ask, may_have_response=was_open)

    def park(self, ask: Ask, *, may_have_response: bool) -> NoReturn:
        """End this run until there is a response."""
        self.desk.park(ask, may_have_response=may_have_response)

    def announce_approval(self) -> None:
        """Send the approval request to people."""
        request = self.task.approval_request
        if request is not None:
            self.task.log.info("A person has to approve %s here: %s", request.price, request.url)
            self.messages.approval_needed(request)

    def respond(self, event: object) -> dict[str, Any]:
        """Record the response, and start again."""
        with self.messages.on_failure():
            self.desk.record(event)
        self.has_asked = True
        return self.start()

    def start(self) -> dict[str, Any]:
        """Begin, and return the result of the task."""
        raise NotImplementedError
