"""
The ledger, the only place that adds or takes credits.

It starts no timers. Every call first books the payments and expiries that have fallen due, each at its own time.
Callers hold the lock.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.records import (
    AutoRecharge,
    Checkout,
    Entry,
    EntryKind,
    Invoice,
    UsageFigures,
)
from airflow_provider_videodb.emulator.errors import (
    CheckoutClosedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidValueError,
    NotFoundError,
)
from airflow_provider_videodb.emulator.values import EXACT, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_videodb.emulator.account.records import Order
    from airflow_provider_videodb.emulator.settings import Settings


class Ledger:
    """
    The credits, checkouts, invoices and auto-recharge of one account.

    :param now: returns emulator time, which never goes back.
    :param settings: may be replaced at any time.
    """

    def __init__(self, now: Callable[[], datetime], settings: Settings) -> None:
        self.settings = settings
        self._now = now
        self._entries = [Entry(at=now(), credits=settings.credits, kind="opening")]
        self._checkouts: dict[str, Checkout] = {}
        self._invoices: list[Invoice] = []
        self._auto_recharge = AutoRecharge()
        self._keys: dict[str, str] = {}

    def balance(self) -> Decimal:
        """Return the balance without the usage lag."""
        self._catch_up()
        return _total(self._entries)

    def entries(self) -> list[Entry]:
        """Return every movement of credits, oldest first."""
        self._catch_up()
        return list(self._entries)

    def usage(self) -> UsageFigures:
        """Return the usage figures of `usage_lag` seconds ago."""
        self._catch_up()
        as_of = self._now() - _seconds(self.settings.usage_lag)
        # The opening balance existed before the start, so the lag does not hide it.
        visible = [entry for entry in self._entries if entry.at <= as_of or entry.kind == "opening"]
        charges = [entry for entry in visible if entry.kind == "charge" and _same_month(entry.at, as_of)]
        operations = dict.fromkeys(entry.operation for entry in charges)
        breakdown = {
            operation: -_total(entry for entry in charges if entry.operation == operation) for operation in operations
        }
        return UsageFigures(credit_balance=_total(visible), usage_this_month=-_total(charges), breakdown=breakdown)

    def charge(self, credits: Decimal, operation: str) -> None:
        """Take `credits`, then recharge if the balance is low."""
        balance = self.balance()
        if credits > balance:
            raise InsufficientCreditsError(
                f"Insufficient credits: {operation} needs {plain(credits)}, the credit balance is {plain(balance)}"
            )
        if credits:
            self._enter(-credits, "charge", self._now(), operation)
        self._recharge_if_low()

    def set_balance(self, credits: Decimal) -> None:
        """Adjust the balance to `credits`, without usage or payment."""
        self._enter(credits - self.balance(), "adjustment", self._now())

    def open_checkout(self, order: Order, idempotency_key: str | None = None) -> Checkout:
        """Return a new checkout, or the one with this key."""
        self._catch_up()
        known = self._known(order, idempotency_key)
        if known is not None:
            return known
        now = self._now()
        checkout = Checkout(
            id=f"cs_test_{secrets.token_hex(12)}",
            order=order,
            credits=order.amount * self.settings.credits_per_dollar,
            created_at=now,
            expires_at=now + _seconds(self.settings.checkout_ttl),
        )
        self._checkouts[checkout.id] = checkout
        if idempotency_key is not None:
            self._keys[idempotency_key] = checkout.id
        if order.kind == "topup" and self.settings.charge_stored_card and self.settings.stored_card:
            return self._complete(checkout, now)
        return checkout

    def checkout(self, checkout_id: str) -> Checkout:
        """Return one checkout."""
        self._catch_up()
        try:
            return self._checkouts[checkout_id]
        except KeyError:
            raise NotFoundError(f"no checkout {checkout_id}") from None

    def has(self, object_id: str) -> bool:
        """Whether a checkout or an invoice has this id."""
        return object_id in self._checkouts or any(invoice.id == object_id for invoice in list(self._invoices))

    def checkouts(self) -> list[Checkout]:
        """Return every checkout, newest first."""
        self._catch_up()
        return list(reversed(self._checkouts.values()))

    def listed_checkouts(self) -> list[Checkout]:
        """Return the checkouts that are older than `list_lag`."""
        latest = self._now() - _seconds(self.settings.list_lag)
        return [checkout for checkout in self.checkouts() if checkout.created_at <= latest]

    def pay(self, checkout_id: str) -> Checkout:
        """Pay a checkout, unless it is already paid."""
        checkout = self.checkout(checkout_id)
        if checkout.status == "completed":
            return checkout
        if checkout.status == "expired":
            raise CheckoutClosedError(f"checkout {checkout_id} has expired and cannot be paid")
        return self._complete(checkout, self._now())

    def expire(self, checkout_id: str) -> Checkout:
        """
        Expire one pending checkout now.

        Its creation moves back to `checkout_ttl` before now, so that the list shows a plausible age.
        """
        checkout = self.checkout(checkout_id)
        if checkout.status == "completed":
            raise CheckoutClosedError(f"checkout {checkout_id} is paid and cannot expire")
        if checkout.status == "expired":
            return checkout
        now = self._now()
        created_at = min(checkout.created_at, now - _seconds(self.settings.checkout_ttl))
        expired = replace(checkout, status="expired", created_at=created_at, expires_at=now)
        self._checkouts[checkout_id] = expired
        return expired

    def invoices(self) -> list[Invoice]:
        """Return every invoice, newest first."""
        self._catch_up()
        return list(reversed(self._invoices))

    def auto_recharge(self) -> AutoRecharge:
        """Return the auto-recharge settings."""
        return self._auto_recharge

    def set_auto_recharge(
        self, *, enabled: bool | None = None, threshold: Decimal | None = None, amount: Decimal | None = None
    ) -> AutoRecharge:
        """Change the given auto-recharge settings and keep the others."""
        current = self._auto_recharge
        updated = AutoRecharge(
            enabled=current.enabled if enabled is None else enabled,
            threshold=current.threshold if threshold is None else threshold,
            amount=current.amount if amount is None else amount,
        )
        if updated.enabled and not (updated.threshold and updated.amount):
            raise InvalidValueError("enabling auto-recharge needs a threshold and an amount above 0")
        self._auto_recharge = updated
        return updated

    def _catch_up(self) -> None:
        """Book due payments and expiries in the order of time."""
        now = self._now()
        pending = [checkout for checkout in self._checkouts.values() if checkout.status == "pending"]
        for due, checkout in sorted(((self._due(c), c) for c in pending), key=lambda pair: pair[0]):
            if due > now:
                return
            if due < checkout.expires_at:
                # `pay_after` may have been set after the due time. Entries stay in the order of time.
                self._complete(checkout, max(due, self._entries[-1].at))
            else:
                self._checkouts[checkout.id] = replace(checkout, status="expired")

    def _due(self, checkout: Checkout) -> datetime:
        if self.settings.pay_after is None:
            return checkout.expires_at
        return min(checkout.created_at + _seconds(self.settings.pay_after), checkout.expires_at)

    def _known(self, order: Order, idempotency_key: str | None) -> Checkout | None:
        if idempotency_key is None or self.settings.idempotency == "ignore":
            return None
        checkout_id = self._keys.get(idempotency_key)
        if checkout_id is None:
            return None
        checkout = self._checkouts[checkout_id]
        if checkout.order != order:
            raise IdempotencyConflictError(
                f"this Idempotency-Key was first used for a {checkout.order.kind} of {checkout.amount}"
            )
        return checkout

    def _complete(self, checkout: Checkout, at: datetime) -> Checkout:
        paid = replace(checkout, status="completed", paid_at=at)
        self._checkouts[checkout.id] = paid
        self._enter(paid.credits, "payment", at)
        self._bill(Decimal(paid.amount), paid.order.currency, at, reason=paid.id)
        return paid

    def _recharge_if_low(self) -> None:
        recharge = self._auto_recharge
        if not (recharge.enabled and self.settings.stored_card) or _total(self._entries) >= recharge.threshold:
            return
        now = self._now()
        self._enter(recharge.amount, "recharge", now)
        self._bill(recharge.amount / self.settings.credits_per_dollar, "usd", now, reason="auto-recharge")

    def _bill(self, amount: Decimal, currency: str, at: datetime, *, reason: str) -> None:
        invoice_id = f"in_test_{secrets.token_hex(12)}"
        self._invoices.append(Invoice(id=invoice_id, amount=amount, currency=currency, created_at=at, reason=reason))

    def _enter(self, credits: Decimal, kind: EntryKind, at: datetime, operation: str = "") -> None:
        self._entries.append(Entry(at=at, credits=credits, kind=kind, operation=operation))


def _total(entries: Iterable[Entry]) -> Decimal:
    total = Decimal(0)
    for entry in entries:
        total = EXACT.add(total, entry.credits)
    return total


def _seconds(value: Decimal) -> timedelta:
    return timedelta(seconds=float(value))


def _same_month(one: datetime, other: datetime) -> bool:
    return (one.year, one.month) == (other.year, other.month)
