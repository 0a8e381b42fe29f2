"""
The two ways VideoDB's reference describes the same billing calls: its OpenAPI part, and the sample code beside it.

Requests are read in both; answers are written in the one that was chosen. `amount` is dollars, except in auto-recharge,
where VideoDB means the credits to add.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.emulator.account.records import Order
from airflow_provider_videodb.emulator.account.values import boolean_of, decimal_of, text_of, url_of, whole_of
from airflow_provider_videodb.emulator.http.errors import InvalidValueError

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.emulator.account.records import AutoRecharge, Checkout, Invoice, UsageFigures
    from airflow_provider_videodb.emulator.faults.list_faults import ListEntry
    from airflow_provider_videodb.emulator.settings import Dialect

MOST_DOLLARS = 999_999
# What a subscription costs when its request names no amount: VideoDB's plans are not emulated.
PLAN_AMOUNT = 20
# The sample code reads a monthly limit; the emulator knows none and shows a figure nobody reaches.
MONTHLY_LIMIT = 1_000_000
_CURRENCY_LETTERS = 3

Answer = dict[str, Any]


def read_topup(payload: dict[str, Any]) -> Order:
    """Return the order of ``POST /billing/topup``."""
    if "amount" not in payload:
        raise InvalidValueError("amount is required: a whole number of dollars")
    return Order(
        kind="topup",
        amount=_amount(payload["amount"]),
        currency=_currency(payload),
        success_url=_url(payload, "redirect_url"),
    )


def read_checkout(payload: dict[str, Any]) -> Order:
    """Return the order of ``POST /billing/checkout``; a payment needs an amount, a subscription a plan."""
    mode = payload.get("mode", "payment")
    if mode not in ("payment", "subscription"):
        raise InvalidValueError("mode must be payment or subscription")
    plan_id = text_of("plan_id", payload["plan_id"]) if "plan_id" in payload else None
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
    """Return what ``POST /billing/auto_recharge`` wants changed: some of enabled, threshold, amount."""
    changes: dict[str, Any] = {}
    if "enabled" in payload:
        changes["enabled"] = boolean_of("enabled", payload["enabled"])
    for name, sample_name in (("threshold", "threshold_credits"), ("amount", "recharge_amount")):
        figures = [decimal_of(key, payload[key], above=0) for key in (name, sample_name) if key in payload]
        if len(set(figures)) > 1:
            raise InvalidValueError(f"{name} and {sample_name} must not differ")
        if figures:
            changes[name] = figures[0]
    if not changes:
        raise InvalidValueError("at least one of enabled, threshold, amount is required")
    return changes


class OpenApiDialect:
    """Answers as the OpenAPI part has them: everything under ``data``."""

    def usage(self, figures: UsageFigures) -> Answer:
        """Answer ``GET /billing/usage``."""
        return _data(
            {
                "credit_balance": json_number(figures.credit_balance),
                "usage_this_month": json_number(figures.usage_this_month),
                "breakdown": {name: json_number(credits) for name, credits in figures.breakdown.items()},
            }
        )

    def topup(self, checkout: Checkout, url: str) -> Answer:  # noqa: ARG002 - this dialect names no id
        """Answer ``POST /billing/topup``: a link and nothing else."""
        return _data({"url": url})

    def checkout(self, checkout: Checkout, url: str) -> Answer:  # noqa: ARG002 - this dialect names no id
        """Answer ``POST /billing/checkout``: a link and nothing else."""
        return _data({"url": url})

    def checkouts(self, entries: list[ListEntry]) -> Answer:
        """Answer ``GET /billing/checkouts``; see `listed`."""
        return _data(entries)

    def invoices(self, invoices: list[Invoice], base_url: str) -> Answer:
        """Answer ``GET /billing/invoices``."""
        return _data([_billed(invoice, base_url, "created_at") for invoice in invoices])

    def auto_recharge(self, wanted: AutoRecharge) -> Answer:
        """Answer ``GET /billing/auto_recharge``."""
        return _data(
            {
                "enabled": wanted.enabled,
                "threshold": json_number(wanted.threshold),
                "amount": json_number(wanted.amount),
            }
        )

    def auto_recharge_changed(self, wanted: AutoRecharge) -> Answer:  # noqa: ARG002 - this dialect only says it is done
        """Answer ``POST /billing/auto_recharge``."""
        return {"success": True, "message": "Auto recharge settings updated"}


class SampleDialect:
    """Answers with the names the sample code reads, at top level; invoices are under ``data`` there too."""

    def usage(self, figures: UsageFigures) -> Answer:
        """Answer ``GET /billing/usage``."""
        return {
            "success": True,
            "credits_remaining": json_number(figures.credit_balance),
            "total_credits_used": json_number(figures.usage_this_month),
            "monthly_limit": MONTHLY_LIMIT,
        }

    def topup(self, checkout: Checkout, url: str) -> Answer:
        """Answer ``POST /billing/topup``."""
        return {"success": True, "payment_url": url, "session_id": checkout.id}

    def checkout(self, checkout: Checkout, url: str) -> Answer:
        """Answer ``POST /billing/checkout``."""
        return {"success": True, "checkout_url": url, "id": checkout.id}

    def checkouts(self, entries: list[ListEntry]) -> Answer:
        """Answer ``GET /billing/checkouts``; see `listed`."""
        return {"success": True, "checkouts": entries}

    def invoices(self, invoices: list[Invoice], base_url: str) -> Answer:
        """Answer ``GET /billing/invoices``."""
        return _data([_billed(invoice, base_url, "date") for invoice in invoices])

    def auto_recharge(self, wanted: AutoRecharge) -> Answer:
        """Answer ``GET /billing/auto_recharge``."""
        return {"success": True, **_sample_settings(wanted)}

    def auto_recharge_changed(self, wanted: AutoRecharge) -> Answer:
        """Answer ``POST /billing/auto_recharge``."""
        return {"success": True, "settings": _sample_settings(wanted)}


DIALECTS: dict[Dialect, OpenApiDialect | SampleDialect] = {"openapi": OpenApiDialect(), "sample": SampleDialect()}


def json_number(figure: Decimal) -> int | float:
    """Return an exact figure as a JSON number: 3, not 3.0."""
    return int(figure) if figure == figure.to_integral_value() else float(figure)


def timestamp(moment: datetime) -> str:
    """Return a moment as the API writes it: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _data(value: object) -> Answer:
    return {"success": True, "data": value}


def listed(checkout: Checkout) -> ListEntry:
    """Return a checkout as an entry of the list, the same in both dialects."""
    return {
        "id": checkout.id,
        "amount": checkout.amount,
        "currency": checkout.order.currency,
        "status": checkout.status,
        "created_at": timestamp(checkout.created_at),
    }


def _billed(invoice: Invoice, base_url: str, date_name: str) -> Answer:
    return {
        "id": invoice.id,
        "amount": json_number(invoice.amount),
        "currency": invoice.currency,
        "status": invoice.status,
        "pdf_url": f"{base_url}/invoices/{invoice.id}",
        date_name: timestamp(invoice.created_at),
    }


def _sample_settings(wanted: AutoRecharge) -> Answer:
    return {
        "enabled": wanted.enabled,
        "threshold_credits": json_number(wanted.threshold),
        "recharge_amount": json_number(wanted.amount),
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
