"""Waiting for a balance on behalf of a task that may have bought what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBCheckoutExpiredError, VideoDBError
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker
from airflow_provider_videodb.triggers._base import Watch
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers.checkout import fetch_checkouts, payment_left_open
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger, fetch_usage
from airflow_provider_videodb.triggers.events import EventStatus, error_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.api.models import Checkout


class EnsureCreditsTrigger(CreditThresholdTrigger):
    """
    Fires when the credit balance reaches a threshold, or when what the task bought is paid or has expired.

    It shares its polls with the sensors and the payments of the same connection and interval: while a purchase is
    unpaid it watches balance and checkouts, and while one of the two cannot be read it goes on with the other. Its
    events bring back what the task knew when it began to wait:

    - ``enough`` and ``timeout`` with ``usage`` (what was seen last) and ``state``;
    - ``paid`` with ``purchase``, as it is then, and ``state``;
    - the error of an expired checkout, once a look at the balance shows too little as well, or no look does: credits
      may have come in another way. A list that does not show the checkout does not end the wait.

    :param state: JSON values for the task, part of every event but an error; ``purchase`` in it is the purchase that
        the task made, ``None`` if it made none.

    The other parameters are those of :class:`CreditThresholdTrigger`.
    """

    _payment: PaymentTracker

    def __init__(self, *, state: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state = state
        self._expired: dict[str, Any] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"state": self.state}

    def watches(self) -> Sequence[Watch]:
        """Watch the balance, and the list of checkouts while the purchase can still be paid."""
        balance = super().watches()
        purchase = self._purchase()
        if purchase is None or purchase.paid:
            return balance
        return [*balance, Watch(fetch_checkouts, self._judge_checkouts, self._begin_to_watch_checkouts)]

    def on_poll_result(self, watch: Watch, result: PollResult) -> dict[str, Any] | None:
        """Return the event that ends the wait, if this tick of one of its polls does."""
        event = super().on_poll_result(watch, result)
        if event is not None or watch.fetch is not fetch_usage or result is NO_RESULT:
            return event
        is_certain = result.error is None or watch.budget.is_spent
        return self._expired if is_certain else None

    def event_payload(self) -> dict[str, Any]:
        """Return the usage seen last and what the task knew."""
        return super().event_payload() | {"state": self.state}

    async def on_kill(self) -> None:
        """Have a last look when a user ends the wait, and say in the task's log what remains payable."""
        if self.state.get("purchase") is not None:
            self.log.warning(await payment_left_open(self.state["purchase"], conn_id=self.videodb_conn_id))

    def _purchase(self) -> Purchase | None:
        recorded = self.state.get("purchase")
        return None if recorded is None else Purchase.from_dict(recorded)

    def _begin_to_watch_checkouts(self) -> None:
        self._payment = PaymentTracker(Purchase.from_dict(self.state["purchase"]))
        self._expired = None

    def _judge_checkouts(self, seen: Mapping[str, Checkout]) -> dict[str, Any] | None:
        try:
            settled = self._payment.check(seen, now=self.now())
        except VideoDBCheckoutExpiredError as err:
            self._expired = error_event(err)
            return None
        except VideoDBError:
            # Whatever else is odd about the checkout, the credits may come all the same.
            return None
        self._expired = None
        if settled is None:
            return None
        return {"status": EventStatus.PAID, "purchase": settled.to_dict(), "state": self.state}
