"""
The two dialects of VideoDB's billing calls.

VideoDB's reference describes the same calls in an OpenAPI document and in sample code, and the two differ. The emulator
reads the requests of both and responds in the chosen one. `amount` is dollars, but credits in auto-recharge.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.emulator.account.records import Order
from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.values import boolean_of, decimal_of, describe, text_of, url_of, whole_of

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.emulator.account.records import AutoRecharge, Checkout, Invoice, UsageFigures
    from airflow_provider_videodb.emulator.faults.list_faults import ListEntry
    from airflow_provider_videodb.emulator.settings import Dialect

MOST_DOLLARS = 999_999
# The price in dollars of a subscription whose request has no amount. The emulator has no plans.
PLAN_AMOUNT = 20
# The sample code reads a monthly limit. The emulator has none, so this number is out of reach.
MONTHLY_LIMIT = 1_000_000
_CURRENCY_LETTERS = 3
_PLAN = re.compile(r"[A-Za-z0-9_-]{1,100}")

JSONObject = dict[str, Any]


def read_topup(payload: dict[str, Any]) -> Order:
    """Parse the body of ``POST /billing/topup``."""
    if "amount" not in payload:
        raise InvalidValueError("amount is required: a whole number of dollars")
    return Order(
        kind="topup",
        amount=_amount(payload["amount"]),
        currency=_currency(payload),
        success_url=_url(payload, "redirect_url"),
    )


def read_checkout(payload: dict[str, Any]) -> Order:
    """Parse the body of ``POST /billing/checkout``."""
    mode = payload.get("mode", "payment")
    if mode not in ("payment", "subscription"):
        raise InvalidValueError("mode must be payment or subscription")
    plan_id = _plan(payload["plan_id"]) if "plan_id" in payload else None
    if mode == "subscription" and plan_id is None:
        raise InvalidValueError("plan_id is required for a subscription")
    if mode == "payment" and "amount" not in payload:
        raise InvalidValueError("amount is required for a payment: a whole number of dollars")
    return Order(
        kind="checkout",
        amount=_amount(payload.get("amount", PLAN_AMOUNT)),
        currency=_currency(payload),
        mode=mode,
        plan_id=plan_id,
        success_url=_url(payload, "success_url"),
        cancel_url=_url(payload, "cancel_url"),
    )


def read_auto_recharge(payload: dict[str, Any]) -> dict[str, Any]:
    """Parse the body of ``POST /billing/auto_recharge``."""
    changes: dict[str, Any] = {}
    if "enabled" in payload:
        changes["enabled"] = boolean_of("enabled", payload["enabled"])
    for name, sample_name in (("threshold", "threshold_credits"), ("amount", "recharge_amount")):
        values = [decimal_of(key, payload[key], above=0) for key in (name, sample_name) if key in payload]
        if len(set(values)) > 1:
            raise InvalidValueError(f"{name} and {sample_name} must not differ")
        if values:
            changes[name] = values[0]
    if not changes:
        raise InvalidValueError("at least one of enabled, threshold, amount is required")
    return changes


def _plan(value: object) -> str:
    text = text_of("plan_id", value)
    if not _PLAN.fullmatch(text):
        raise InvalidValueError(f"plan_id must be letters, digits, _ and -, at most 100, got {describe(value)}")
    return text


class OpenApiDialect:
    """Responses as in the OpenAPI document, under ``data``."""

    def usage(self, usage: UsageFigures) -> JSONObject:
        """Format the response of ``GET /billing/usage``."""
        return _data(
            {
                "credit_balance": json_number(usage.credit_balance),
                "usage_this_month": json_number(usage.usage_this_month),
                "breakdown": {name: json_number(credits) for name, credits in usage.breakdown.items()},
            }
        )

    def topup(self, checkout: Checkout, url: str) -> JSONObject:  # noqa: ARG002 - this dialect has no id
        """Format the response of ``POST /billing/topup``."""
        return _data({"url": url})

    def checkout(self, checkout: Checkout, url: str) -> JSONObject:  # noqa: ARG002 - this dialect has no id
        """Format the response of ``POST /billing/checkout``."""
        return _data({"url": url})

    def checkouts(self, entries: list[ListEntry]) -> JSONObject:
        """Format the response of ``GET /billing/checkouts``."""
        return _data(entries)

    def invoices(self, invoices: list[Invoice], base_url: str) -> JSONObject:
        """Format the response of ``GET /billing/invoices``."""
        return _data([_billed(invoice, base_url, "created_at") for invoice in invoices])

    def auto_recharge(self, recharge: AutoRecharge) -> JSONObject:
        """Format the response of ``GET /billing/auto_recharge``."""
        return _data(
            {
                "enabled": recharge.enabled,
                "threshold": json_number(recharge.threshold),
                "amount": json_number(recharge.amount),
            }
        )

    def auto_recharge_changed(self, recharge: AutoRecharge) -> JSONObject:  # noqa: ARG002 - this dialect has only a message
        """Format the response of ``POST /billing/auto_recharge``."""
        return {"success": True, "message": "Auto recharge settings updated"}


class SampleDialect:
    """Responses as the sample code reads them."""

    def usage(self, usage: UsageFigures) -> JSONObject:
        """Format the response of ``GET /billing/usage``."""
        return {
            "success": True,
            "credits_remaining": json_number(usage.credit_balance),
            "total_credits_used": json_number(usage.usage_this_month),
            "monthly_limit": MONTHLY_LIMIT,
        }

    def topup(self, checkout: Checkout, url: str) -> JSONObject:
        """Format the response of ``POST /billing/topup``."""
        return {"success": True, "payment_url": url, "session_id": checkout.id}

    def checkout(self, checkout: Checkout, url: str) -> JSONObject:
        """Format the response of ``POST /billing/checkout``."""
        return {"success": True, "checkout_url": url, "id": checkout.id}

    def checkouts(self, entries: list[ListEntry]) -> JSONObject:
        """Format the response of ``GET /billing/checkouts``."""
        return {"success": True, "checkouts": entries}

    def invoices(self, invoices: list[Invoice], base_url: str) -> JSONObject:
        """Format the response of ``GET /billing/invoices``."""
        return _data([_billed(invoice, base_url, "date") for invoice in invoices])

    def auto_recharge(self, recharge: AutoRecharge) -> JSONObject:
        """Format the response of ``GET /billing/auto_recharge``."""
        return {"success": True, **_sample_settings(recharge)}

    def auto_recharge_changed(self, recharge: AutoRecharge) -> JSONObject:
        """Format the response of ``POST /billing/auto_recharge``."""
        return {"success": True, "settings": _sample_settings(recharge)}


DIALECTS: dict[Dialect, OpenApiDialect | SampleDialect] = {"openapi": OpenApiDialect(), "sample": SampleDialect()}


def json_number(number: Decimal) -> int | float:
    """Return an exact number as a JSON number, 3 rather than 3.0."""
    return int(number) if number == number.to_integral_value() else float(number)


def timestamp(moment: datetime) -> str:
    """Format a moment in whole seconds and UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _data(value: object) -> JSONObject:
    return {"success": True, "data": value}


def listed(checkout: Checkout) -> ListEntry:
    """Return a checkout as an entry of the list."""
    return {
        "id": checkout.id,
        "amount": checkout.amount,
        "currency": checkout.order.currency,
        "status": checkout.status,
        "created_at": timestamp(checkout.created_at),
    }


def _billed(invoice: Invoice, base_url: str, date_name: str) -> JSONObject:
    return {
        "id": invoice.id,
        "amount": json_number(invoice.amount),
        "currency": invoice.currency,
        "status": invoice.status,
        "pdf_url": f"{base_url}/invoices/{invoice.id}",
        date_name: timestamp(invoice.created_at),
    }


def _sample_settings(recharge: AutoRecharge) -> JSONObject:
    return {
        "enabled": recharge.enabled,
        "threshold_credits": json_number(recharge.threshold),
        "recharge_amount": json_number(recharge.amount),
    }


def _amount(value: object) -> int:
    return whole_of("amount", value, at_least=1, at_most=MOST_DOLLARS)


def _currency(payload: dict[str, Any]) -> str:
    code = text_of("currency", payload.get("currency", "usd"))
    if len(code) != _CURRENCY_LETTERS or not (code.isascii() and code.isalpha()):
        raise InvalidValueError("currency must be a three-letter code such as usd")
    return code.lower()


def _url(payload: dict[str, Any], name: str) -> str | None:
    return url_of(name, payload[name]) if name in payload else None
