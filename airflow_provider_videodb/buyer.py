"""
Carries out what :mod:`~airflow_provider_videodb.purchase` decides.

The order is what keeps a purchase from being made twice: the intent is recorded before the POST that may make a
checkout, the checkout before its link is handed out.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import ANSWER_LOST_ERRORS, NOTHING_DONE_ERRORS, VideoDBAPIError
from airflow_provider_videodb.limits import SpendLimits, check_limits
from airflow_provider_videodb.purchase import (
    CLOCK_SKEW,
    Create,
    CreateAgain,
    Done,
    LookAgain,
    Purchase,
    WaitFor,
    idempotency_key,
    next_step,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.client import BillingClient
    from airflow_provider_videodb.journal import Journal
    from airflow_provider_videodb.models import Checkout

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TopupRequest:
    """
    What a task wants bought.

    :param amount: whole US dollars.
    :param identity: what names the task instance through all its tries.
    :param balance_before: credits, for the record.
    """

    amount: int
    currency: str | None
    redirect_url: str | None
    identity: tuple[str, ...]
    balance_before: float | None


def obtain_checkout(
    begun: Purchase | None,
    request: TopupRequest,
    *,
    client: BillingClient,
    journal: Journal,
    limits: SpendLimits,
) -> tuple[Purchase, bool]:
    """
    Return the one purchase of this task instance, and whether it is paid already.

    Makes a checkout if none is pending or paid.

    :param begun: what the journal holds.
    :raises VideoDBLimitExceededError: if a new one would break a limit.
    :raises VideoDBPurchaseUnknownError: if what was bought before cannot be told.
    :raises VideoDBAPIError: if VideoDB refuses, or if the answer was lost twice in this try.
    """
    purchase = begun
    if purchase is not None and purchase.amount != request.amount:
        log.warning(
            "This task now asks for %s USD, but a purchase of %s USD was begun and stands.",
            request.amount,
            purchase.amount,
        )
    lost: VideoDBAPIError | None = None
    while True:
        checkouts = client.list_checkouts()
        now = datetime.now(UTC)
        match next_step(purchase, checkouts, now=now):
            case Done(purchase=purchase):
                journal.save(purchase)
                return purchase, True
            case WaitFor(purchase=purchase):
                journal.save(purchase)
                return purchase, False
            case LookAgain(seconds=seconds):
                log.info("Looking at the list of checkouts again in %.1f s, since it may lag.", seconds)
                time.sleep(seconds)
                continue
            case Create(generation=generation, orphans=orphans):
                check_limits(request.amount, limits, checkouts=checkouts, now=now)
                purchase = _intent(request, generation, orphans, checkouts, now)
            case CreateAgain(purchase=purchase):
                if lost is not None:
                    raise lost
        purchase, lost = _post(purchase, request, client, journal)


def _intent(
    request: TopupRequest, generation: int, orphans: tuple[str, ...], checkouts: Sequence[Checkout], now: datetime
) -> Purchase:
    return Purchase(
        generation=generation,
        amount=request.amount,
        currency=request.currency,
        key=idempotency_key(*request.identity, generation),
        balance_before=request.balance_before,
        orphans=orphans,
        # Older ones are told apart by their date.
        seen_before=tuple(
            checkout.id
            for checkout in checkouts
            if checkout.id and checkout.created_at and checkout.created_at >= now - 2 * CLOCK_SKEW
        ),
    )


def _post(
    purchase: Purchase, request: TopupRequest, client: BillingClient, journal: Journal
) -> tuple[Purchase, VideoDBAPIError | None]:
    """Send the POST; return the purchase as it then stands, and the error if its answer was lost."""
    if purchase.orphans:
        log.warning(
            "Unpaid checkouts %s were left behind by lost answers. Nobody has their links; they expire by themselves.",
            ", ".join(purchase.orphans),
        )
    purchase = purchase.posting(datetime.now(UTC))
    journal.save(purchase)
    try:
        checkout = client.topup(
            purchase.amount,
            currency=purchase.currency,
            redirect_url=request.redirect_url,
            idempotency_key=purchase.key,
        )
    except NOTHING_DONE_ERRORS:
        journal.save(purchase.refused())
        raise
    except ANSWER_LOST_ERRORS as err:
        log.warning("%s Looking into the list of checkouts for what became of it.", err)
        return purchase, err
    purchase = replace(purchase.answered(checkout), notified=False)
    journal.save(purchase)
    return purchase, None
