"""Carries out the protocol over a store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from airflow_provider_videodb.holds.airflow_runs import has_run_ended, has_task_finished
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.journal import write_note
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import (
    LONGEST_SETTLEMENT_MS,
    PREFIX,
    Kind,
    account_prefix,
    check_key,
    parse_key,
)
from airflow_provider_videodb.holds.rules.steps import (
    IsEarlier,
    IsOver,
    IsUnused,
    ListFlags,
    Put,
    ReadBalance,
    Remove,
    SettlesAt,
    Step,
    WriteJournal,
)
from airflow_provider_videodb.holds.stepping import carry_out
from airflow_provider_videodb.holds.store import VariableStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from decimal import Decimal

    from airflow_provider_videodb.holds.rules.records import Flag
    from airflow_provider_videodb.holds.store import HoldStore

_ResultT = TypeVar("_ResultT")
#: How many keys two pages have in common.
_OVERLAP = 100


class Ledger:
    """
    The flags of one account, or of all.

    :param account: the account's part of the keys; ``None`` lists all accounts.
    :param me: who raises flags; ``None`` for a ledger that raises none of its own.
    :param read_balance: reads the balance from VideoDB.
    :param is_unused: says whether no job runs on an earlier try of this gate.
    :param may_ask: says whether to ask Airflow about a flag now; a shared poll does not ask at every tick.
    :param now: seconds since 1970.
    """

    def __init__(
        self,
        account: str | None,
        *,
        store: HoldStore | None = None,
        me: Identity | None = None,
        read_balance: Callable[[], Decimal] | None = None,
        is_unused: Callable[[], bool] = lambda: False,
        may_ask: Callable[[Flag], bool] = lambda _: True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._account = account
        self._prefix = PREFIX if account is None else account_prefix(account)
        self.store = VariableStore() if store is None else store
        self._me = me
        self._read_balance = read_balance
        self._is_unused = is_unused
        self._may_ask = may_ask
        self._now = now
        self._known: dict[tuple[str, str], Identity] = {}

    def run(self, steps: Generator[Step, Any, _ResultT]) -> _ResultT:
        """Carry out the steps."""
        return carry_out(steps, self.do)

    def do(self, step: Step) -> Any:  # noqa: PLR0911 - one per step
        """Carry out one step."""
        match step:
            case ListFlags():
                return self.view()
            case ReadBalance():
                if self._read_balance is None:
                    raise RuntimeError("This ledger has no account at VideoDB.")
                return self._read_balance()
            case SettlesAt(flag=flag, settlement_ms=settlement_ms):
                who = self.who(flag)
                # A value that somebody edited must not make a key that cannot be read.
                own = min(who.settlement_ms, LONGEST_SETTLEMENT_MS) if who else 0
                return self.now_ms() + max(settlement_ms, own)
            case Put(flag=flag, like=like):
                return self.store.write(check_key(flag).key, self._value(flag, like))
            case Remove(flag=flag):
                return self.store.delete(flag.key)
            case IsOver(flag=flag):
                return self._is_over(flag)
            case IsEarlier(flag=flag):
                return self._is_earlier(flag)
            case IsUnused():
                return self._is_unused()
            case WriteJournal(flag=flag, spent=spent, why=why):
                return write_note(self.store, flag, self.who(flag), now_ms=self.now_ms(), spent=spent, why=why)
            case unknown:
                assert_never(unknown)

    def view(self) -> View:
        """List all flags. Keys of other versions are ignored."""
        listed_at = self.now_ms()
        listing = self.store.list(self._prefix)
        found = [flag for key in listing.keys if (flag := parse_key(key)) is not None]
        # SQLite and MySQL do not tell capitals apart in a prefix, so they also list the account "A" for "a".
        flags = tuple(flag for flag in found if self._account in (None, flag.account))
        return View(flags=flags, listed_at=listed_at, is_complete=listing.is_complete)

    def pages(self) -> View:
        """
        List all flags, page by page.

        These are not the flags of one moment, so no gate may open on them. A release may use them, because it
        has to find its hold even if the account has too many flags for one listing.
        """
        listed_at = self.now_ms()
        listing = self.store.list(self._prefix)
        keys = set(listing.keys)
        offset = 0
        while not listing.is_complete:
            # The pages overlap, because flags that are removed meanwhile move the others to the front.
            offset += max(1, len(listing.keys) - _OVERLAP)
            listing = self.store.list(self._prefix, offset=offset)
            keys.update(listing.keys)
        # SQLite and MySQL do not tell capitals apart in a prefix.
        own = sorted(key for key in keys if key.startswith(self._prefix))
        return View(flags=tuple(flag for key in own if (flag := parse_key(key)) is not None), listed_at=listed_at)

    def who(self, flag: Flag) -> Identity | None:
        """Return the holder of a flag; ``None`` if its value does not say."""
        if flag.owner not in self._known:
            # A gate that is just opening may have replaced this flag. So an unreadable value is read again next time.
            who = Identity.from_text(self.store.read(flag.key))
            if who is None or who.holder != flag.holder:
                return None
            self._known[flag.owner] = who
        return self._known[flag.owner]

    def settlement_ms(self, flag: Flag) -> int:
        """
        Return the settlement time of a flag, in milliseconds.

        If the value cannot be read, this is the longest time that a connection may have.
        """
        who = self.who(flag)
        return LONGEST_SETTLEMENT_MS if who is None else who.settlement_ms

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return int(self._now() * 1000)

    def _is_over(self, flag: Flag) -> bool:
        if not self._may_ask(flag):
            return False
        who = self.who(flag)
        if who is None:
            return False
        return has_run_ended(who) or (flag.kind is Kind.WAITING and has_task_finished(who))

    def _is_earlier(self, flag: Flag) -> bool:
        who = self.who(flag)
        return who is not None and self._me is not None and who.try_number < self._me.try_number

    def _value(self, flag: Flag, like: Flag | None) -> str:
        who = self._me if like is None else self.who(like)
        return "{}" if who is None else who.to_text(kind=flag.kind.name.lower())
