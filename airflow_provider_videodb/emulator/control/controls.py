"""What a test may do to an emulator: the same operations for Python callers and for the control calls over HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.account.values import lenient_decimal_of, text_of
from airflow_provider_videodb.emulator.http.dialects import read_auto_recharge

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal

    from airflow_provider_videodb.emulator.account.records import AutoRecharge, Checkout, Invoice, UsageFigures
    from airflow_provider_videodb.emulator.account.values import Number
    from airflow_provider_videodb.emulator.control.calls import Call
    from airflow_provider_videodb.emulator.faults.faults import Fault, FaultFields, FaultKind
    from airflow_provider_videodb.emulator.settings import Settings, SettingsArguments


class Controls:
    """
    Direct access to one emulated account, from any thread.

    Everything is done at once and under the account's lock; what is returned are snapshots. `EmulatorError` and its
    subclasses are raised for what cannot be done.
    """

    def __init__(self, settings: Settings) -> None:
        self.world = EmulatorState(settings)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.world.settings

    def change_settings(self, **settings: Unpack[SettingsArguments]) -> Settings:
        """Change some settings (see `Settings`); `credits` counts from the next reset, use `set_balance` instead."""
        with self.world.lock:
            self.world.change_settings(self.world.settings.changed(settings))
            return self.world.settings

    @property
    def balance(self) -> Decimal:
        """The credit balance of this moment, without the usage lag."""
        with self.world.lock:
            return self.world.ledger.balance()

    def usage(self) -> UsageFigures:
        """Return the usage figures as the API shows them, with the usage lag."""
        with self.world.lock:
            return self.world.ledger.usage()

    def set_balance(self, credits: Number) -> None:
        """Bring the credit balance to `credits`."""
        figure = lenient_decimal_of("credits", credits)
        with self.world.lock:
            self.world.ledger.set_balance(figure)

    def charge(self, credits: Number, operation: str = "other") -> None:
        """Use credits up, as indexing would; raises `InsufficientCreditsError` and charges nothing when short."""
        figure = lenient_decimal_of("credits", credits)
        text_of("operation", operation)
        with self.world.lock:
            self.world.ledger.charge(figure, operation)

    def checkouts(self) -> list[Checkout]:
        """Return all checkouts, newest first, without the list lag."""
        with self.world.lock:
            return self.world.ledger.checkouts()

    def checkout(self, checkout_id: str) -> Checkout:
        """Return one checkout."""
        with self.world.lock:
            return self.world.ledger.checkout(checkout_id)

    def payment_url(self, checkout_id: str) -> str:
        """Return the link a checkout is paid at."""
        return f"{self.world.base_url}/pay/{self.checkout(checkout_id).id}"

    def pay(self, checkout_id: str) -> Checkout:
        """Pay a checkout, as a click on its page does: once, however often it is called."""
        with self.world.lock:
            return self.world.ledger.pay(checkout_id)

    def expire(self, checkout_id: str) -> Checkout:
        """
        Let the time of a pending checkout pass, for it alone.

        It has then expired, and its `created_at` is `checkout_ttl` back or more, as VideoDB would show it.
        """
        with self.world.lock:
            return self.world.ledger.expire(checkout_id)

    def show_checkout_as(self, checkout_id: str, *, times: int | None = None, skip: int = 0, **fields: Any) -> None:
        """
        Let the list show a checkout with other fields than it has, for example ``status="expired"``.

        The checkout itself does not change: it can still be paid. A later call for it takes the place of this one.

        :param fields: raw JSON put over ``amount``, ``currency``, ``status`` or ``created_at`` of the entry.
        :param times: how many reads of the list show it so; None until `clear_list_faults`.
        :param skip: how many reads show the truth first.
        """
        with self.world.lock:
            self.world.ledger.checkout(checkout_id)
            self.world.list_faults.show_as(checkout_id, fields, times=times, skip=skip)

    def hide_checkout(self, checkout_id: str, *, times: int | None = None, skip: int = 0) -> None:
        """Let the list forget a checkout, which can still be paid; `times` and `skip` as for `show_checkout_as`."""
        with self.world.lock:
            self.world.ledger.checkout(checkout_id)
            self.world.list_faults.hide(checkout_id, times=times, skip=skip)

    def add_foreign_checkout(self, **fields: Any) -> None:
        """
        Put an entry into the list that no checkout stands behind, until `clear_list_faults`.

        :param fields: raw JSON, shown as it is: what is not given is missing, and nothing is checked.
        """
        with self.world.lock:
            self.world.list_faults.add_foreign(fields)

    def clear_list_faults(self) -> None:
        """Let the list show the truth again; foreign entries go."""
        with self.world.lock:
            self.world.list_faults.clear()

    def invoices(self) -> list[Invoice]:
        """Return all invoices, newest first."""
        with self.world.lock:
            return self.world.ledger.invoices()

    @property
    def auto_recharge(self) -> AutoRecharge:
        """The auto-recharge settings."""
        with self.world.lock:
            return self.world.ledger.auto_recharge()

    def set_auto_recharge(
        self, *, enabled: bool | None = None, threshold: Number | None = None, amount: Number | None = None
    ) -> AutoRecharge:
        """Change the auto-recharge settings that are given; `threshold` and `amount` are credits."""
        given: dict[str, Any] = {} if enabled is None else {"enabled": enabled}
        for name, value in (("threshold", threshold), ("amount", amount)):
            if value is not None:
                given[name] = lenient_decimal_of(name, value)
        changes = read_auto_recharge(given)
        with self.world.lock:
            return self.world.ledger.set_auto_recharge(**changes)

    def now(self) -> datetime:
        """Return emulator time, UTC."""
        with self.world.lock:
            return self.world.clock.now()

    def advance(self, seconds: Number) -> datetime:
        """Move emulator time forward by `seconds`, and return it."""
        with self.world.lock:
            now = self.world.clock.advance(seconds)
        self.world.bell.ring()
        return now

    def add_fault(self, kind: FaultKind, **fields: Unpack[FaultFields]) -> Fault:
        """
        Make calls fail; see `Fault` for the kinds and `FaultFields` for the rest.

        `times` defaults to one call; None keeps the fault until it is cleared.
        """
        with self.world.lock:
            return self.world.faults.add({"kind": kind, **fields})

    def faults(self) -> list[Fault]:
        """Return the faults in force."""
        with self.world.lock:
            return self.world.faults.all()

    def remove_fault(self, fault_id: str) -> None:
        """Take one fault down; the calls it holds are let go."""
        with self.world.lock:
            self.world.faults.remove(fault_id)
        self.world.bell.ring()

    def clear_faults(self) -> None:
        """Take all faults down; the calls they hold are let go."""
        with self.world.lock:
            self.world.faults.clear()
        self.world.bell.ring()

    def calls(self, method: str | None = None, path: str | None = None, *, accepted: bool | None = None) -> list[Call]:
        """Return the logged API calls that fit, oldest first; `path` may hold ``*``. See `Call.accepted`."""
        with self.world.lock:
            return self.world.calls.select(method=method, path=path, accepted=accepted)

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
        Block until `count` calls that fit have arrived, and return all that fit.

        :param until: what a call must have come to, for example ``lambda call: call.done``.
        :param timeout: wall-clock seconds, after which `TimeoutError` is raised.
        """
        give_up = time.monotonic() + timeout
        with self.world.changed:
            while True:
                calls = [c for c in self.world.calls.select(method=method, path=path) if until is None or until(c)]
                if len(calls) >= count:
                    return calls
                if not self.world.changed.wait(give_up - time.monotonic()):
                    raise TimeoutError(f"{len(calls)} of {count} calls {method or '*'} {path or '*'} in {timeout} s")

    def clear_calls(self) -> None:
        """Forget the logged calls."""
        with self.world.lock:
            self.world.calls.clear()

    def reset(self) -> None:
        """Return to the state right after the start; calls that are held are let go."""
        with self.world.lock:
            self.world.reset()
