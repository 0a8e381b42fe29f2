"""
Sends the POST that makes a checkout.

Only the newest try of a task that should run sends it, and sends it once. The try first records what it is about to
send, then asks Airflow whether it may. A process can freeze between any two lines, so the recorded intent has an age.
An old one is not sent, because another try may have taken over.
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
    without_next_step,
)
from airflow_provider_videodb.purchases.clock import Clock, age_from_now
from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy, check_approved
from airflow_provider_videodb.purchases.variables import CHECK_AIRFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.journal import Journal, Try
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: A recorded intent is too old to connect for after these seconds, because another try may have taken over.
MAX_INTENT_AGE = 5.0
#: A recorded intent is too old to write a request for after these seconds. To connect may take ten of them.
MAX_SEND_AGE = MAX_INTENT_AGE + 10
#: One try records this many intents that grow too old before it gives up.
_MAX_STALE_INTENTS = 3

log = logging.getLogger(__name__)


class CheckoutApi(Protocol):
    """The two calls of a purchase, as :class:`~airflow_provider_videodb.api.client.BillingClient` has them."""

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> Checkout:
        """Ask for a checkout, unless ``before_send`` raises once the connection is open."""
        ...

    def list_checkouts(self) -> list[Checkout]:
        """Return all checkouts."""
        ...


@dataclass(frozen=True, kw_only=True)
class PostSender:
    """
    Sends the POSTs of one try.

    :param account: fingerprint of the account that is asked.
    :param policy: which purchases a person has to approve.
    :param timeout: seconds after which a POST has ended one way or the other.
    """

    api: CheckoutApi
    journal: Journal
    current_try: Try
    account: str | None
    timeout: float
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    clock: Clock = field(default_factory=Clock)

    def post(
        self, purchase: Purchase, redirect_url: str | None, *, there_before: Collection[str]
    ) -> tuple[Purchase, VideoDBAPIError | None]:
        """
        Send the POST of a purchase.

        :param there_before: checkouts that are listed already.
        :return: the purchase afterwards, and the error if its outcome is unknown.
        :raises VideoDBApprovalMissingError: if a person has to approve it and nobody did.
        """
        # The decision has checked it. A mistake there must not spend money.
        check_approved(self.policy, self.journal.approval, purchase.amount, currency=purchase.currency)
        if purchase.orphans:
            log.warning("VideoDB may have made these checkouts, but its responses were lost:")
            log.warning("%s", ", ".join(purchase.orphans))
            log.warning("The task has no links to them. It makes a checkout with a link.")
        purchase, age = self._record_intent(purchase, there_before)
        try:
            checkout = self.api.topup(
                purchase.amount,
                currency=purchase.currency,
                redirect_url=redirect_url,
                idempotency_key=purchase.key,
                before_send=lambda: self._last_check(age),
            )
        except OUTCOME_UNKNOWN_ERRORS as err:
            log.warning("The outcome of the POST is unknown.")
            log.warning("The task searches VideoDB's list for its checkout.")
            log.warning("%s", without_next_step(str(err)))
            return purchase.post_outcome_unknown(), err
        except NO_EFFECT_ERRORS:
            self.journal.save(purchase.post_rejected())
            raise
        except VideoDBError:
            # The last check kept the request from being written.
            with suppress(VideoDBError):
                self.journal.save(purchase.post_rejected())
            raise
        purchase = purchase.post_succeeded(checkout)
        self._save_checkout(purchase)
        return purchase, None

    def _last_check(self, age: Callable[[], float]) -> None:
        """Refuse to write a request whose intent is old or whose try is over."""
        seconds = age()
        if seconds > MAX_SEND_AGE:
            raise VideoDBNotSentError(
                f"The connection to VideoDB opened {seconds:.0f} s after the purchase was recorded; "
                f"{MAX_SEND_AGE:.0f} s are allowed. So another try of the task may have taken over. Nothing was sent. "
                "Next step: check the network, then retry the task."
            )
        self.current_try.check()

    def _save_checkout(self, purchase: Purchase) -> None:
        try:
            self.journal.save(purchase)
        except VideoDBTryOverError:
            made = purchase.checkout_id, purchase.price
            log.warning("VideoDB made checkout %s for %s for a try that is over.", *made)
            log.warning("Nobody gets its link, so it expires unpaid.")
            raise

    def _record_intent(self, purchase: Purchase, there_before: Collection[str]) -> tuple[Purchase, Callable[[], float]]:
        """
        Record the intent of a POST, and check that this try may send it.

        :return: the purchase, and a function that tells the age of the intent in seconds.
        """
        for _ in range(_MAX_STALE_INTENTS):
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
            f"Airflow took longer than {MAX_INTENT_AGE:g} s to record this purchase and to say that this try may make "
            f"it. Nothing was sent. {CHECK_AIRFLOW}"
        )
