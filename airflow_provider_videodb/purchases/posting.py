"""
Sending the POST that makes a checkout, once, and only by the newest try of a task that is to run.

What is about to be sent is recorded first. Then Airflow is asked whether this try may send it. A process can be frozen
between any two lines, so the intent also carries its age: it is not sent once another try may have taken over.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBError,
    VideoDBNotSentError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.purchases.clock import Clock, age_from_now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.journal import Journal, Try
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: Seconds after which a recorded intent is too old to be sent: another try may have taken over meanwhile.
MAX_INTENT_AGE = 5.0
#: Seconds after which a recorded intent is not written any more: reaching VideoDB may take ten of them.
MAX_SEND_AGE = MAX_INTENT_AGE + 10
#: How often one try records an intent that then grows too old.
_MOST_STALE_INTENTS = 3

log = logging.getLogger(__name__)


class CheckoutApi(Protocol):
    """The two calls that buying takes; :class:`~airflow_provider_videodb.api.client.BillingClient` has them."""

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> Checkout:
        """Ask for a checkout, unless ``before_send`` raises once the request could be written."""
        ...

    def list_checkouts(self) -> list[Checkout]:
        """Return all checkouts."""
        ...


@dataclass(frozen=True, kw_only=True)
class PostSender:
    """
    Sends the POSTs of one try.

    :param account: fingerprint of the account that is asked.
    :param timeout: seconds after which a POST has ended one way or the other.
    """

    shop: CheckoutApi
    journal: Journal
    current_try: Try
    account: str | None
    timeout: float
    clock: Clock = field(default_factory=Clock)

    def post(
        self, purchase: Purchase, redirect_url: str | None, *, there_before: Collection[str]
    ) -> tuple[Purchase, VideoDBAPIError | None]:
        """Send the POST; return the purchase as it then stands, and the error if its answer was lost."""
        if purchase.orphans:
            log.warning(
                "Lost answers left the unpaid checkouts %s behind. Nobody has their links; they expire by themselves.",
                ", ".join(purchase.orphans),
            )
        purchase, age = self._record_intent(purchase, there_before)
        try:
            checkout = self.shop.topup(
                purchase.amount,
                currency=purchase.currency,
                redirect_url=redirect_url,
                idempotency_key=purchase.key,
                before_send=lambda: self._last_check(age),
            )
        except OUTCOME_UNKNOWN_ERRORS as err:
            log.warning("%s Looking into the list of checkouts for what it has led to.", err)
            return purchase.post_unanswered(), err
        except NO_EFFECT_ERRORS:
            self.journal.save(purchase.post_rejected())
            raise
        except VideoDBError:
            # The last check has kept the request from being written.
            with suppress(VideoDBError):
                self.journal.save(purchase.post_rejected())
            raise
        purchase = purchase.post_succeeded(checkout)
        self._save_answer(purchase)
        return purchase, None

    def _last_check(self, age: Callable[[], float]) -> None:
        """Refuse to write a request, once the connection stands, whose intent is old or whose try is over."""
        seconds = age()
        if seconds > MAX_SEND_AGE:
            raise VideoDBNotSentError(
                f"It took {seconds:.0f} s from recording the purchase until VideoDB could be asked, so another try of "
                "the task may have taken over. Nothing was sent. Check the network if this happens again; a retry "
                "begins anew."
            )
        self.current_try.check()

    def _save_answer(self, purchase: Purchase) -> None:
        try:
            self.journal.save(purchase)
        except VideoDBTryOverError:
            log.warning(
                "Checkout %s over %s was made for a try that is over. Its link is shown to nobody; it expires by "
                "itself.",
                purchase.checkout_id,
                purchase.price,
            )
            raise

    def _record_intent(self, purchase: Purchase, there_before: Collection[str]) -> tuple[Purchase, Callable[[], float]]:
        """
        Record a POST that is about to be sent, and make sure that this try may send it.

        :return: the purchase, and what tells the age of the intent in seconds.
        """
        for _ in range(_MOST_STALE_INTENTS):
            age = age_from_now(self.clock)
            intent = replace(purchase, account=self.account).post_started(
                self.clock.now(), there_before=there_before, may_take=MAX_INTENT_AGE + self.timeout
            )
            self.journal.save(intent)
            try:
                self.journal.check_unchanged()
                self.current_try.check()
            except VideoDBError:
                with suppress(VideoDBError):
                    self.journal.save(intent.post_rejected())
                raise
            if age() <= MAX_INTENT_AGE:
                return intent, age
        self.journal.save(intent.post_rejected())
        raise VideoDBRecordUnreadableError(
            f"Airflow took longer than {MAX_INTENT_AGE:g} s to keep what this task is about to buy and to say that it "
            "may. Nothing was sent. Check Airflow's API server and its database, then retry the task."
        )
