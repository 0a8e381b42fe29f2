"""The operations of a test on an emulator, for Python callers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_videodb.emulator.http.dialects import read_auto_recharge
from airflow_provider_videodb.emulator.values import lenient_decimal_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal

    from airflow_provider_videodb.emulator.account.calls import Call, Callback
    from airflow_provider_videodb.emulator.account.records import AutoRecharge, Checkout, Invoice, UsageFigures
    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.faults.call_faults import Fault, FaultFields, FaultKind
    from airflow_provider_videodb.emulator.settings import Settings, SettingsArguments
    from airflow_provider_videodb.emulator.values import Number


class Controls:
    """
    Direct access to one emulated account, from any thread.

    Every method takes effect at once and returns a snapshot. It raises a subclass of `EmulatorError`, and changes
    nothing, when the operation is impossible.
    """

    def __init__(self, state: EmulatorState) -> None:
        self.state = state

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.state.settings

    def change_settings(self, **settings: Unpack[SettingsArguments]) -> Settings:
        """
        Change some settings; see `Settings`.

        A change of `credits` counts from the next reset. Use `set_balance` to change the balance now.
        """
        with self.state.lock:
            return self.state.change_settings(settings)

    @property
    def balance(self) -> Decimal:
        """The balance in credits, without the usage lag."""
        with self.state.lock:
            return self.state.ledger.balance()

    def usage(self) -> UsageFigures:
        """Return the usage as the API shows it."""
        with self.state.lock:
            return self.state.ledger.usage()

    def set_balance(self, credits: Number) -> None:
        """Set the balance to `credits`."""
        balance = lenient_decimal_of("credits", credits)
        with self.state.lock:
            self.state.ledger.set_balance(balance)

    def charge(self, credits: Number, operation: str = "other") -> None:
        """Charge `credits` for an operation, as indexing does."""
        price = lenient_decimal_of("credits", credits)
        text_of("operation", operation)
        with self.state.lock:
            self.state.ledger.charge(price, operation)

    def checkouts(self) -> list[Checkout]:
        """Return all checkouts, newest first, without list lag."""
        with self.state.lock:
            return self.state.ledger.checkouts()

    def checkout(self, checkout_id: str) -> Checkout:
        """Return one checkout."""
        with self.state.lock:
            return self.state.ledger.checkout(checkout_id)

    def payment_url(self, checkout_id: str) -> str:
        """Return the payment link of a checkout."""
        return f"{self.state.base_url}/pay/{self.checkout(checkout_id).id}"

    def pay(self, checkout_id: str) -> Checkout:
        """Pay a checkout once, however often it is called."""
        with self.state.lock:
            return self.state.ledger.pay(checkout_id)

    def expire(self, checkout_id: str) -> Checkout:
        """
        Expire one pending checkout now.

        Its `created_at` moves back to at least `checkout_ttl` before now, so that its age looks real.
        """
        with self.state.lock:
            return self.state.ledger.expire(checkout_id)

    def show_checkout_as(self, checkout_id: str, *, times: int | None = None, skip: int = 0, **fields: Any) -> None:
        """
        Show a checkout with wrong fields in the list.

        The checkout itself does not change and can still be paid. A second call for the same checkout replaces the
        first.

        :param fields: raw JSON that replaces ``amount``, ``currency``, ``status`` or ``created_at`` of the entry.
        :param times: how many reads of the list are wrong. None keeps the fault until `clear_list_faults`.
        :param skip: how many reads are right before.
        """
        with self.state.lock:
            self.state.ledger.checkout(checkout_id)
            self.state.list_faults.show_as(checkout_id, fields, times=times, skip=skip)

    def hide_checkout(self, checkout_id: str, *, times: int | None = None, skip: int = 0) -> None:
        """
        Hide a checkout from the list. It can still be paid.

        :param times: as for `show_checkout_as`.
        :param skip: as for `show_checkout_as`.
        """
        with self.state.lock:
            self.state.ledger.checkout(checkout_id)
            self.state.list_faults.hide(checkout_id, times=times, skip=skip)

    def add_foreign_checkout(self, **fields: Any) -> None:
        """
        Show an entry without a checkout in the list, until `clear_list_faults` is called.

        :param fields: the entry in raw JSON, unchecked.
        """
        with self.state.lock:
            self.state.list_faults.add_foreign(fields)

    def clear_list_faults(self) -> None:
        """Remove every fault of the list."""
        with self.state.lock:
            self.state.list_faults.clear()

    def invoices(self) -> list[Invoice]:
        """Return all invoices, newest first."""
        with self.state.lock:
            return self.state.ledger.invoices()

    @property
    def auto_recharge(self) -> AutoRecharge:
        """The auto-recharge settings."""
        with self.state.lock:
            return self.state.ledger.auto_recharge()

    def set_auto_recharge(
        self, *, enabled: bool | None = None, threshold: Number | None = None, amount: Number | None = None
    ) -> AutoRecharge:
        """
        Change the given auto-recharge settings.

        :param threshold: credits.
        :param amount: credits.
        """
        given: dict[str, Any] = {} if enabled is None else {"enabled": enabled}
        for name, value in (("threshold", threshold), ("amount", amount)):
            if value is not None:
                given[name] = lenient_decimal_of(name, value)
        changes = read_auto_recharge(given)
        with self.state.lock:
            return self.state.ledger.set_auto_recharge(**changes)

    def now(self) -> datetime:
        """Return emulator time in UTC."""
        with self.state.lock:
            return self.state.clock.now()

    def advance(self, seconds: Number) -> datetime:
        """Move emulator time forward and return it."""
        with self.state.lock:
            now = self.state.clock.advance(seconds)
        self.state.wakeups.wake_all()
        return now

    def add_fault(self, kind: FaultKind, **fields: Unpack[FaultFields]) -> Fault:
        """
        Make the next matching call fail; see `Fault`.

        :param fields: the other fields of `Fault`. ``retry_after`` sets the Retry-After header.
        """
        with self.state.lock:
            return self.state.faults.add({"kind": kind, **fields})

    def faults(self) -> list[Fault]:
        """Return the active faults, oldest first."""
        with self.state.lock:
            return self.state.faults.all()

    def remove_fault(self, fault_id: str) -> None:
        """Remove one fault and release the calls that it holds."""
        with self.state.lock:
            self.state.faults.remove(fault_id)
        self.state.wakeups.wake_all()

    def clear_faults(self) -> None:
        """Remove every fault and release the calls that they hold."""
        with self.state.lock:
            self.state.faults.clear()
        self.state.wakeups.wake_all()

    def calls(self, method: str | None = None, path: str | None = None, *, accepted: bool | None = None) -> list[Call]:
        """
        Return the matching API calls, oldest first.

        :param path: a path, or a pattern with ``*``.
        :param accepted: see `Call.accepted`.
        """
        with self.state.lock:
            return self.state.calls.select(method=method, path=path, accepted=accepted)

    def wait_for_calls(
        self,
        count: int = 1,
        method: str | None = None,
        path: str | None = None,
        *,
        until: Callable[[Call], bool] | None = None,
        timeout: float = 10,
    ) -> list[Call]:
        """
        Block until `count` matching calls have arrived, and return them.

        :param until: a condition on each call, for example ``lambda call: call.done``.
        :param timeout: wall-clock seconds until it raises `TimeoutError`.
        """
        deadline = time.monotonic() + timeout
        with self.state.changed:
            while True:
                calls = [c for c in self.state.calls.select(method=method, path=path) if until is None or until(c)]
                if len(calls) >= count:
                    return calls
                if not self.state.changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{len(calls)} of {count} calls {method or '*'} {path or '*'} in {timeout} s")

    def callbacks(self) -> list[Callback]:
        """Return the callbacks that were sent or failed, oldest first."""
        with self.state.lock:
            return list(self.state.calls.callbacks)

    def clear_calls(self) -> None:
        """Drop the logged calls and callbacks."""
        with self.state.lock:
            self.state.calls.clear()

    def reset(self) -> None:
        """Return to the state after the start and release held calls."""
        with self.state.lock:
            self.state.reset()
