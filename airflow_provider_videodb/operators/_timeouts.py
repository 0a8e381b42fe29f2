"""Writes the errors of a wait that ran out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from airflow_provider_videodb.exceptions import VideoDBCreditsMissingError, VideoDBPaymentTimeoutError
from airflow_provider_videodb.hooks.arguments import in_words
from airflow_provider_videodb.purchases.rules.credit_wait import KeptByOthers, NotFilled, NotPaid, NotShown

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.exceptions import VideoDBError
    from airflow_provider_videodb.operators._ensure_credits_request import CreditsWaitRequest
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


def payment_timeout_error(purchase: Purchase, *, payment_timeout: float) -> VideoDBPaymentTimeoutError:
    """Return the error for a missing payment."""
    return VideoDBPaymentTimeoutError(
        f"Nobody paid checkout {purchase.checkout_id} for {purchase.price} within {in_words(payment_timeout)} "
        "(payment_timeout). Nothing more was bought. Next step: pay at the link below, unless it has "
        "expired. Then clear this task. It waits for the same checkout, or makes a new one if that has expired.\n"
        f"{purchase.payment_url}"
    )


def not_filled_error(
    usage: Usage, credits: Decimal, *, payment_timeout: float, reason: str | None = None
) -> VideoDBCreditsMissingError:
    """
    Return the error for an account that nobody filled.

    :param reason: why the gate waits; ``None`` if others do not keep it closed.
    """
    why = f" {reason}" if reason else ""
    return VideoDBCreditsMissingError(
        f"The balance is {usage.credit_balance} of {credits} credits after {in_words(payment_timeout)} "
        f"(payment_timeout).{why} Nothing was bought. Next step: top up the account, then clear this task."
    )


def kept_by_others_error(
    purchase: Purchase | None, reason: str, *, payment_timeout: float
) -> VideoDBCreditsMissingError:
    """
    Return the error for a gate that others kept closed.

    :param purchase: what this task paid for; ``None`` if it bought nothing.
    :param reason: why the gate waits.
    """
    if purchase is None:
        bought = "Nothing was bought."
    else:
        bought = f"This task's {purchase.price_paid} are paid, and a retry buys nothing more."
    return VideoDBCreditsMissingError(
        f"The gate did not open within {in_words(payment_timeout)} (payment_timeout). {reason} {bought} Next step: see "
        "who holds credits with `airflow videodb holds list`. Wait until they are released, then clear this task."
    )


def not_shown_error(
    purchase: Purchase, usage: Usage, credits: Decimal, *, settle_timeout: float
) -> VideoDBCreditsMissingError:
    """Return the error for paid credits that the balance lacks."""
    return VideoDBCreditsMissingError(
        f"The balance is {usage.credit_balance} of {credits} credits, more than {in_words(settle_timeout)} "
        f"(settle_timeout) after this task's payment of {purchase.price_paid}. Its credits are used up, or VideoDB "
        "does not show them yet. Nothing more was bought, and a retry buys nothing more. Next step: find the payment "
        "in VideoDB's console. If it is not booked yet, wait until the balance shows it, then clear this task. If its "
        "credits are used up, start a new DAG run to buy again."
    )


def credit_wait_error(
    failure: NotFilled | NotPaid | NotShown | KeptByOthers, usage: Usage, waiting: CreditsWaitRequest, *, reason: str
) -> VideoDBError:
    """
    Return the error for a gate that did not open in time.

    :param reason: why the gate waits; empty if others do not keep it closed.
    """
    match failure:
        case NotFilled():
            return not_filled_error(usage, waiting.credits, payment_timeout=waiting.payment_timeout, reason=reason)
        case NotPaid(purchase=unpaid):
            return payment_timeout_error(unpaid, payment_timeout=waiting.payment_timeout)
        case NotShown(purchase=paid):
            return not_shown_error(paid, usage, waiting.credits, settle_timeout=waiting.settle_timeout)
        case KeptByOthers(purchase=bought):
            return kept_by_others_error(bought, reason, payment_timeout=waiting.payment_timeout)
        case unknown:
            assert_never(unknown)
