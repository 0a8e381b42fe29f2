"""Waits for a balance and for a payment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBCheckoutExpiredError, VideoDBError
from airflow_provider_videodb.purchases.rules.credit_wait import CreditWait
from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker
from airflow_provider_videodb.triggers._base import Watch
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers._poll_metrics import PollKind
from airflow_provider_videodb.triggers.checkout import fetch_checkouts, payment_left_open
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.events import EventStatus, error_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.holds.rules.account import Assessment, View
    from airflow_provider_videodb.triggers._gates import AccountView, WaitingGate


class EnsureCreditsTrigger(CreditThresholdTrigger):
    """
    Fires when the task of a credit gate can continue.

    This is when the gate may open, credits have to be bought, the payment is decided, or a reminder is due.

    The trigger polls the balance and the holds of the account. While the task's purchase is unpaid, it also polls the
    list of checkouts. Both polls are shared with every other wait of the same connection and interval. If one of them
    fails, the wait continues with the other.

    Each event but an error returns the wait to the task, which checks the gate again, unless a reminder is due:

    - ``enough``, ``may_open``, ``short`` and ``timeout``, with the ``usage`` that was read last. A task that has
      bought nothing buys after ``short``;
    - ``paid``, with the paid purchase in the wait;
    - ``remind``, with the gate, so that the task keeps its place in the queue.

    An expired checkout is an error. It ends the wait only after a poll of the balance, because the account may have
    been filled in another way. A checkout that is not listed does not end the wait.

    The other parameters are those of :class:`CreditThresholdTrigger`.

    :param wait: the JSON form of a ``CreditWait``.
    """

    _wait: CreditWait
    _payment: PaymentTracker

    def __init__(self, *, wait: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wait = wait
        self._expired: dict[str, Any] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"wait": self.wait}

    def watches(self) -> Sequence[Watch]:
        """Watch the balance, and the list while somebody can pay."""
        self._wait = CreditWait.from_dict(self.wait)
        balance = super().watches()
        if not self._wait.awaits_payment:
            return balance
        return [*balance, Watch(fetch_checkouts, self._on_checkouts, self._start_tracking, PollKind.CHECKOUTS)]

    def on_account(self, account: AccountView) -> dict[str, Any] | None:
        """Return the event if a worker has to act now."""
        event = super().on_account(account)
        if event is not None:
            return event
        if self._wait.may_buy and self._is_short(account):
            return self._event(EventStatus.SHORT)
        if self.has_come(self._wait.recheck_at) and not self._is_kept_by_others(account):
            return self._event(EventStatus.TIMEOUT)
        return None

    def on_poll_result(self, watch: Watch, result: PollResult) -> dict[str, Any] | None:
        """Return the event if this result ends the wait."""
        event = super().on_poll_result(watch, result)
        if event is not None or watch.fetch is not self.fetch or result is NO_RESULT:
            return event
        is_certain = result.error is None or watch.budget.is_spent
        return self._expired if is_certain else None

    def event_payload(self) -> dict[str, Any]:
        """Return the usage that was read last, and the wait."""
        return super().event_payload() | {"wait": self.wait}

    async def on_kill(self) -> None:
        """Log what can still be paid after a user's stop."""
        if self.wait["purchase"] is not None:
            self.log.warning(await payment_left_open(self.wait["purchase"], conn_id=self.videodb_conn_id))

    def _is_short(self, account: AccountView) -> bool:
        """Tell whether a closed gate lacks credits to buy."""
        gate, view = self._gate, account.view
        if gate is None or view is None or not (gate.holds or gate.respects_holds):
            return True
        # Thousands may wait for the end of a pause, so it comes before the assessment.
        return view.is_open and self._assess(gate, account, view).shortfall(self._needed, but=gate.holder) > 0

    def _is_kept_by_others(self, account: AccountView) -> bool:
        gate, view = self._gate, account.view
        if gate is None or view is None or not (gate.holds or gate.respects_holds):
            return False
        return self._assess(gate, account, view).is_kept_by_others(self._needed)

    def _assess(self, gate: WaitingGate, account: AccountView, view: View) -> Assessment:
        return gate.claim(self._needed, account.settings).assess(view, account.usage.credit_balance)

    def _start_tracking(self) -> None:
        if self._wait.purchase is not None:
            self._payment = PaymentTracker(self._wait.purchase)
        self._expired = None

    def _on_checkouts(self, listed: Mapping[str, Checkout]) -> dict[str, Any] | None:
        try:
            paid = self._payment.check(listed, now=self.now())
        except VideoDBCheckoutExpiredError as err:
            self._expired = error_event(err)
            return None
        except VideoDBError:
            # The balance may suffice whatever else is wrong with the checkout.
            return None
        self._expired = None
        if paid is not None:
            return {"status": EventStatus.PAID, "wait": replace(self._wait, purchase=paid).to_dict()}
        return self.reminder() if self._payment.is_open else None

    def reminder(self) -> dict[str, Any] | None:
        """Return the event of a reminder, with the gate. The account may be filled, so its balance is read first."""
        event, gate = super().reminder(), self._gate
        if event is None or event["usage"] is None:
            return None
        return event | {"gate": None if gate is None else gate.to_dict()}
