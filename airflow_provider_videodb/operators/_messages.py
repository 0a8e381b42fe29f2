"""
Sends a task's messages through its notifiers.

Each notifier gets the link. All else goes to a ``PaymentRequestNotifier`` only, because another notifier has one text,
which asks for the payment.

A message never ends a task and never ends a wait. The record says which notifier has sent which message, so that a
retry does not send it again.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBApprovalMissingError,
    VideoDBError,
    VideoDBPaymentTimeoutError,
    VideoDBTryOverError,
    is_permanent,
)
from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from airflow_provider_videodb.operators._notifier_call import call_notifier
from airflow_provider_videodb.purchases.rules.approval_record import OutcomeStatus
from airflow_provider_videodb.purchases.rules.approval_texts import ApprovalEvent, ApprovalRequest
from airflow_provider_videodb.purchases.rules.candidates import can_have_expired, status_of
from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentEvent, PaymentRequest
from airflow_provider_videodb.purchases.rules.reminders import next_reminder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
    from airflow_provider_videodb.operators._purchasing import PurchasingOperator
    from airflow_provider_videodb.purchases.executor import PurchaseExecutor
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from airflow_provider_videodb.purchases.rules.required_action import Shortage

_GOES_ON = "The pipeline continues as soon as somebody has paid."
#: After one of these, nobody expects to be asked for a payment.
_ENDINGS = (PaymentEvent.EXPIRED, PaymentEvent.FAILED, PaymentEvent.NOT_NEEDED)
#: Seconds until a reminder that could not be sent is due again, at most. Each one takes a worker.
_LONGEST_DELAY = 600.0


class PaymentMessages:
    """
    The messages about one purchase.

    :param get_executor: returns the executor of the purchase.
    :param remind_every: seconds; ``None`` sends no reminders.
    """

    def __init__(
        self,
        *,
        task: PurchasingOperator,
        context: Context,
        hook: VideoDBBillingHook,
        get_executor: Callable[[], PurchaseExecutor],
        remind_every: float | None,
    ) -> None:
        self._task = task
        self._context = context
        self._hook = hook
        self._get_executor = get_executor
        self._remind_every = remind_every
        self._not_before = 0.0

    def request(self, purchase: Purchase, *, shortage: Shortage | None, waits: bool) -> Purchase:
        """
        Send a link to everybody who now lacks it.

        :param waits: whether the task waits for the payment.
        """
        earlier = "An earlier link has expired. Please pay this one only." if purchase.generation else ""
        note = f"{_GOES_ON if waits else ''}\n{earlier}"
        self._task.payment = self._payment(purchase, PaymentEvent.REQUESTED, shortage=shortage, note=note)
        for place, notifier in enumerate(self._task.notifiers):
            name = _name_of(place, notifier)
            endings = {f"{name}:{event}" for event in _ENDINGS}.intersection(purchase.notified)
            if (name in purchase.notified and not endings) or not self._send(notifier):
                continue
            if endings:
                kept = tuple(told for told in purchase.notified if told not in {name, *endings})
                # The next reminder counts from this message, because the link may be old.
                purchase = replace(purchase, notified=kept).reminded(datetime.now(UTC))
            purchase = self._get_executor().record(purchase.notified_by(name))
        return purchase

    def next_reminder(self, purchase: Purchase | None) -> float | None:
        """Return when a reminder is due; ``None`` if never."""
        if purchase is None or purchase.paid or not any(map(_is_ours, self._task.notifiers)):
            return None
        due = next_reminder(purchase, remind_every=self._remind_every, now=datetime.now(UTC).timestamp())
        return None if due is None else max(due, self._not_before)

    def remind(self, purchase: Purchase, *, remind_at: object, shortage: Shortage | None = None) -> Purchase:
        """
        Send a reminder, if it is still due.

        It is recorded before it is sent. So a task that dies sends it once at most, and the next one follows.

        :param remind_at: the reminder that the trigger asks for.
        :return: the purchase, which is still unpaid.
        """
        later = datetime.now(UTC).timestamp() + min(self._remind_every or 0.0, _LONGEST_DELAY)
        try:
            executor = self._get_executor()
            purchase = executor.load_existing() or purchase
            due = self.next_reminder(purchase)
            if due is None or not isinstance(remind_at, int | float) or remind_at < due:
                return purchase
            # If it is not sent, the trigger must not ask for it again at once.
            self._not_before = later
            if not self._is_open(purchase):
                return purchase
            purchase = executor.record(purchase.reminded(datetime.now(UTC)))
        except VideoDBTryOverError:
            raise
        except VideoDBError:
            self._not_before = later
            self._task.log.exception("Airflow did not record the reminder, so it is not sent.")
            return purchase
        self._task.payment = self._payment(purchase, PaymentEvent.REMINDER, shortage=shortage, note=_GOES_ON)
        for notifier in filter(_is_ours, self._task.notifiers):
            self._send(notifier)
        return purchase

    def paid(self, purchase: Purchase, *, waits_for: str | None = None) -> None:
        """
        Say that the payment has been made.

        :param waits_for: what has to happen before the task continues.
        """
        note = "The pipeline continues." if waits_for is None else f"The pipeline continues as soon as {waits_for}."
        if len(purchase.paid) > 1:
            note += f"\nMore than one checkout was paid: {', '.join(purchase.paid)}. The task's log says what to do."
        elif purchase.checkout_id and purchase.paid[0] != purchase.checkout_id:
            note += f"\nAn earlier link was paid. Please do not also pay checkout {purchase.checkout_id}."
        self._follow_up(purchase, PaymentEvent.PAID, note=note)

    def not_needed(self, purchase: Purchase) -> None:
        """Say that nobody has to pay now."""
        self._follow_up(purchase, PaymentEvent.NOT_NEEDED)

    def approval_needed(self, request: ApprovalRequest) -> None:
        """
        Send an approval request to everybody who lacks it.

        It is recorded after it is sent. So a task that dies in between sends it again, and none is lost.
        """
        self._tell_of_approval(request)

    @contextmanager
    def on_failure(self) -> Iterator[None]:
        """Send a message if the purchase fails."""
        try:
            yield
        except VideoDBTryOverError:
            # A newer try may be waiting for the same link.
            raise
        except VideoDBError as err:
            # A worker that waits itself passes the same error through the wait and through what began it.
            if self._task.ended_by is not err:
                self._task.ended_by = err
                with suppress(VideoDBError):
                    self._failed(self._get_executor().load_existing(), err)
                    self._failed_to_ask(err)
            raise

    def _failed_to_ask(self, err: VideoDBError) -> None:
        """Say that the task buys nothing without an approval."""
        approval = self._get_executor().journal.approval
        outcome, ask = approval.outcome, approval.asked
        is_approved = outcome is not None and outcome.status is OutcomeStatus.APPROVED
        if ask is None or self._is_retried(err) or (is_approved and not isinstance(err, VideoDBApprovalMissingError)):
            return
        request = ApprovalRequest.of(ask, ti=self._context["ti"])
        self._tell_of_approval(replace(request, event=ApprovalEvent.FAILED, note=_in_lines(err)))

    def _tell_of_approval(self, request: ApprovalRequest) -> None:
        """Send a message once to those whom it concerns."""
        self._task.payment, self._task.approval_request = None, request
        journal = self._get_executor().journal
        for place, notifier in enumerate(self._task.notifiers):
            asked = _name_of(place, notifier)
            told = () if journal.approval.asked is None else journal.approval.asked.notified
            is_request = request.event is ApprovalEvent.REQUESTED
            name = asked if is_request else f"{asked}:{request.event}"
            is_due = name not in told and (is_request or asked in told)
            if not _is_ours(notifier) or not is_due or not self._send(notifier):
                continue
            try:
                journal.save_approval(journal.approval.notified_by(name))
            except VideoDBTryOverError:
                raise
            except VideoDBError:
                self._task.log.exception("Airflow did not record a message, so a retry of the task sends it again.")

    def _is_retried(self, err: VideoDBError) -> bool:
        ti = self._context["ti"]
        return bool(ti.try_number <= ti.max_tries) and not is_permanent(err)

    def _failed(self, purchase: Purchase | None, err: VideoDBError) -> None:
        if purchase is None or purchase.paid or not purchase.link_shared:
            return
        is_retried = self._is_retried(err)
        was_told = any(told.endswith(f":{PaymentEvent.EXPIRED}") for told in purchase.notified)
        if not was_told and can_have_expired(purchase, {}, now=datetime.now(UTC)):
            note = (
                "Airflow retries the task, which then sends a new link."
                if is_retried
                else "Next step: clear the task in Airflow to get a new link."
            )
            self._follow_up(purchase, PaymentEvent.EXPIRED, note=note)
        elif not is_retried:
            is_payable = isinstance(err, VideoDBPaymentTimeoutError)
            text = _in_lines(err).replace(purchase.payment_url or "\n\n", "")
            self._follow_up(purchase, PaymentEvent.FAILED, note=text, is_payable=is_payable)

    def _follow_up(
        self, purchase: Purchase, event: PaymentEvent, *, note: str | None = None, is_payable: bool = False
    ) -> None:
        """Send a message once to everybody who was asked."""
        payment = self._payment(purchase, event, note=note)
        self._task.payment = payment if is_payable else replace(payment, url="")
        for place, notifier in enumerate(self._task.notifiers):
            asked = _name_of(place, notifier)
            was_asked = asked in purchase.notified or purchase.reminded_at is not None
            name = f"{asked}:{event}"
            if not _is_ours(notifier) or not was_asked or name in purchase.notified or not self._send(notifier):
                continue
            try:
                purchase = self._get_executor().record(purchase.notified_by(name))
            except VideoDBError:
                self._task.log.exception("Airflow did not record a message, so a retry of the task sends it again.")

    def _payment(
        self, purchase: Purchase, event: PaymentEvent, *, shortage: Shortage | None = None, note: str | None = None
    ) -> PaymentRequest:
        return PaymentRequest.of(purchase, ti=self._context["ti"], shortage=shortage, event=event, note=note)

    def _is_open(self, purchase: Purchase) -> bool:
        """Ask VideoDB, because the worker may start late."""
        try:
            listed = by_id(self._hook.get_poll_client().list_checkouts())
        except VideoDBAPIError:
            self._task.log.exception("VideoDB did not say whether the link is paid, so no reminder is sent.")
            return False
        return status_of(purchase, listed) == CheckoutStatus.PENDING

    def _send(self, notifier: BaseNotifier) -> bool:
        name = _kind_of(notifier)
        try:
            call_notifier(notifier, self._context)
        except (Exception, SystemExit):
            # The link is on the task's page as well, so the task need not fail.
            self._task.log.exception("Notifier %s failed, so its message was not sent.", name)
            self._task.log.warning("The task continues. A retry of the task sends it again.")
            return False
        self._task.log.info("Notifier %s was called without an error.", name)
        return True


def _in_lines(err: VideoDBError) -> str:
    """Return an error's text, the next step below it."""
    return str(err).replace("Next step: ", "\nNext step: ")


def _is_ours(notifier: object) -> bool:
    return isinstance(notifier, PaymentRequestNotifier)


def _name_of(place: int, notifier: object) -> str:
    """Return a notifier's name, which wrapping does not change."""
    return f"{place}:{_kind_of(notifier)}"


def _kind_of(notifier: object) -> str:
    sender = notifier.notifier if isinstance(notifier, PaymentRequestNotifier) else notifier
    return type(sender).__name__
