"""Keeps the accounts of one emulator."""

from __future__ import annotations

import re
import secrets
import threading
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.state import EmulatorState, Wakeups
from airflow_provider_videodb.emulator.errors import InvalidValueError, UnknownAccountError
from airflow_provider_videodb.emulator.values import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.emulator.account.calls import Call, Callback
    from airflow_provider_videodb.emulator.settings import Settings

# The name ends the API key, and the name of the variable for the Airflow connection.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

DEFAULT_ACCOUNT = "default"


class Accounts:
    """
    The accounts of one emulator.

    Each has its own key, balance, jobs, faults, clock and log of calls.

    :param report: is called with each API call and each callback when it has ended.
    """

    def __init__(self, report: Callable[[Call | Callback], None] | None = None) -> None:
        self.report = report
        self.wakeups = Wakeups()
        self.base_url = ""
        #: The lock of all accounts, because the overview reads each balance.
        self.lock = threading.RLock()
        self._states: tuple[EmulatorState, ...] = ()

    def __iter__(self) -> Iterator[EmulatorState]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def add(self, name: str, settings: Settings) -> EmulatorState:
        """Open an account, whose name and key are new."""
        check_account_name(name)
        with self.lock:
            if any(state.name == name for state in self):
                raise InvalidValueError(f"the name of an account must be new, got {describe(name)} twice")
            state = EmulatorState(name, settings, self)
            self.check_key(state, settings.api_key)
            self._states += (state,)
            return state

    def check_key(self, owner: EmulatorState, api_key: str) -> None:
        """Refuse the key of another account."""
        for state in self:
            # A reset brings the first key back.
            if state is not owner and api_key in (state.settings.api_key, state.initial.api_key):
                raise InvalidValueError(f"api_key must differ from the key of the account {state.name}")

    @property
    def first(self) -> EmulatorState:
        """The account of callers who name none."""
        return self._states[0]

    def named(self, name: str | None) -> EmulatorState:
        """Return the named account, by default the first."""
        if name is None:
            return self.first
        for state in self:
            if state.name == name:
                return state
        known = ", ".join(state.name for state in self)
        raise UnknownAccountError(f"no account {describe(name)}; known are {known}")

    def with_key(self, api_key: str | None) -> EmulatorState | None:
        """Return the account with this API key."""
        given = (api_key or "").encode()
        for state in self:
            if secrets.compare_digest(given, state.settings.api_key.encode()):
                return state
        return None

    def with_page(self, object_id: str) -> EmulatorState:
        """
        Return the account that owns a checkout or invoice.

        :return: the first account if none owns it.
        """
        return next((state for state in self if state.ledger.has(object_id)), self.first)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names by which callers may reach the emulator."""
        return tuple(dict.fromkeys(host for state in self for host in state.settings.allowed_hosts))

    def without_keys(self, text: str) -> str:
        """
        Hide the keys.

        The longest comes first, because a shorter key may be its beginning.
        """
        for api_key in sorted((state.settings.api_key for state in self), key=len, reverse=True):
            text = text.replace(api_key, "***")
        return text


def check_account_name(name: object) -> None:
    """
    Refuse a name that does not suit an account.

    The name ends the API key and the name of an environment variable.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidValueError(
            "the name of an account must be lower-case letters, digits and _, begin with a letter "
            f"and have at most 40 characters, got {describe(name)}"
        )


def account_key(api_key: str, name: str) -> str:
    """Return the API key of a named account."""
    check_account_name(name)
    return f"{api_key}-{name}"
