"""Pins the types of what a user reads: responses, errors, and the emulator. `make lint` checks it; nothing runs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, assert_type

from airflow_provider_videodb import exceptions as errors
from airflow_provider_videodb.api.models import AutoRecharge, Checkout, CheckoutStatus, IdSource, Invoice, Usage
from airflow_provider_videodb.emulator.server import Emulator

if TYPE_CHECKING:
    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook


def responses(usage: Usage, checkout: Checkout, invoice: Invoice, recharge: AutoRecharge) -> None:
    assert_type(usage.credit_balance, Decimal)
    assert_type(usage.usage_this_month, Decimal)
    assert_type(usage.breakdown, Mapping[str, Decimal])
    assert_type(checkout.id, str | None)
    assert_type(checkout.url, str | None)
    assert_type(checkout.amount, Decimal | None)
    assert_type(checkout.currency, str | None)
    assert_type(checkout.status, str)
    assert_type(checkout.created_at, datetime | None)
    assert_type(checkout.id_source, IdSource | None)
    assert_type(checkout.unreadable, tuple[str, ...])
    assert_type(invoice.id, str)
    assert_type(invoice.amount, Decimal)
    assert_type(invoice.currency, str | None)
    assert_type(invoice.status, str)
    assert_type(invoice.pdf_url, str | None)
    assert_type(invoice.created_at, datetime)
    assert_type(recharge.enabled, bool)
    assert_type(recharge.threshold, Decimal | None)
    assert_type(recharge.amount, Decimal | None)
    known: tuple[str, ...] = (CheckoutStatus.PENDING, CheckoutStatus.COMPLETED, CheckoutStatus.EXPIRED)
    assert checkout.status in known


def calls(billing: VideoDBBillingHook | BillingClient) -> None:
    assert_type(billing.get_usage(), Usage)
    assert_type(billing.topup(5, currency="usd", redirect_url="https://example.com", idempotency_key="k"), Checkout)
    assert_type(billing.create_checkout(5), Checkout)
    assert_type(billing.create_checkout(5, success_url="https://a.example", cancel_url="https://b.example"), Checkout)
    assert_type(billing.create_checkout(mode="subscription", plan_id="pro"), Checkout)
    assert_type(billing.list_checkouts(limit=3), list[Checkout])
    assert_type(billing.list_invoices(limit=3), list[Invoice])
    assert_type(billing.get_auto_recharge(), AutoRecharge)
    assert_type(billing.set_auto_recharge(enabled=True, threshold=Decimal(5), amount=Decimal(25)), AutoRecharge)


def what_the_service_said(error: errors.VideoDBAPIError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.error_code, str | None)
    assert_type(error.request_id, str | None)
    assert_type(error.retry_after, float | None)


def tree_of_errors() -> None:
    refused: tuple[type[errors.VideoDBRefusedError], ...] = (
        errors.VideoDBAuthenticationError,
        errors.VideoDBInsufficientCreditsError,
        errors.VideoDBPermissionError,
        errors.VideoDBNotFoundError,
    )
    limited: tuple[type[errors.VideoDBRateLimitError], ...] = (errors.VideoDBGatewayRateLimitError,)
    gateway: tuple[type[errors.VideoDBGatewayError], ...] = (errors.VideoDBGatewayRateLimitError,)
    unreadable: tuple[type[errors.VideoDBResponseError], ...] = (errors.VideoDBGatewayError,)
    api: tuple[type[errors.VideoDBAPIError], ...] = (
        *(*refused, *limited, *gateway, *unreadable),
        errors.VideoDBNotSentError,
        errors.VideoDBOutcomeUnknownError,
        errors.VideoDBServerError,
    )
    purchase: tuple[type[errors.VideoDBPurchaseError], ...] = (
        errors.VideoDBCheckoutExpiredError,
        errors.VideoDBCheckoutMissingError,
        errors.VideoDBPaymentTimeoutError,
        errors.VideoDBPaymentRefusedError,
        errors.VideoDBCreditsMissingError,
        errors.VideoDBRecordUnreadableError,
        errors.VideoDBRecordNotKeptError,
        errors.VideoDBTryOverError,
        errors.VideoDBPurchaseUnknownError,
    )
    config: tuple[type[errors.VideoDBConfigError], ...] = (errors.VideoDBNoConnectionError,)
    each: tuple[type[errors.VideoDBError], ...] = (
        *(*api, *purchase, *config),
        errors.VideoDBSettingsNotAppliedError,
        errors.VideoDBLimitExceededError,
        errors.VideoDBNoHoldError,
    )
    unknown_or_harmless: tuple[type[errors.VideoDBAPIError], ...] = (
        *errors.OUTCOME_UNKNOWN_ERRORS,
        *errors.NO_EFFECT_ERRORS,
    )
    try:
        pass
    except each + unknown_or_harmless as error:
        assert_type(errors.is_permanent(error), bool)


def emulator() -> None:
    with Emulator(credits=3, pay_after=1) as running:
        assert_type(running.balance, Decimal)
        assert_type(running.base_url, str)
        assert_type(running.api_key, str)
        assert_type(running.port, int)
        assert_type(running.connection, dict[str, str])
        assert_type(running.connection_json, str)
        running.change_settings(usage_lag=2, list_lag=2)
        running.set_balance(Decimal("2.5"))
        running.charge(1)
        running.pay(running.checkouts()[0].id)
        running.expire(running.checkouts()[0].id)
        running.advance(60)
        running.add_fault("drop_after", path="/billing/topup", times=1)
        running.clear_faults()
        running.reset()
