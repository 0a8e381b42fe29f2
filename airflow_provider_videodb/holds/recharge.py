"""Carries out the steps of a pair over a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.airflow_runs import has_run_ended
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.recharge import (
    Holder,
    RechargeView,
    account_prefix,
    check_key,
    parse_key,
)
from airflow_provider_videodb.holds.rules.recharge_steps import (
    IsOver,
    KeepNote,
    ListFlags,
    Put,
    ReadSettings,
    Remove,
    Step,
    WriteSettings,
)
from airflow_provider_videodb.holds.rules.records import account_part
from airflow_provider_videodb.holds.stepping import carry_out
from airflow_provider_videodb.holds.store import VariableStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_videodb.api.models import AutoRecharge
    from airflow_provider_videodb.holds.rules.recharge import RechargeFlag
    from airflow_provider_videodb.holds.store import HoldStore

_ResultT = TypeVar("_ResultT")


class RechargeLedger:
    """
    The automatic-recharge flags of one account.

    :param account: the name of the account, see ``credit_account`` of the connection.
    :param me: the task instance of the setup.
    :param try_id: see :func:`~.rules.records.try_of`.
    :param read: reads the settings from VideoDB.
    :param write: writes them and reads them back; the second argument says whether this is an undo.
    :param keep_note: writes a note of the settings that were found and those that are asked for.
    """

    def __init__(
        self,
        account: str,
        *,
        me: Identity,
        try_id: str,
        read: Callable[[], AutoRecharge],
        write: Callable[[AutoRecharge, bool], AutoRecharge],
        keep_note: Callable[[AutoRecharge, AutoRecharge], None],
        store: HoldStore | None = None,
    ) -> None:
        self.me = Holder(account=account_part(account), holder=me.holder, try_id=try_id)
        self._who: dict[str, Identity | None] = {me.holder: me}
        self._read = read
        self._write = write
        self._keep_note = keep_note
        self._store = VariableStore() if store is None else store
        self._read_back: AutoRecharge | None = None
        self._keys: dict[str, str] = {}

    def run(self, steps: Generator[Step, Any, _ResultT]) -> _ResultT:
        """Carry out the steps."""
        return carry_out(steps, self._do)

    def _do(self, step: Step) -> Any:  # noqa: PLR0911 - one per step
        match step:
            case ListFlags():
                return self._view()
            case ReadSettings():
                # The settings were read back after the last write, so they are not read again.
                read_back, self._read_back = self._read_back, None
                return self._read() if read_back is None else read_back
            case WriteSettings(settings=settings, is_undo=is_undo):
                self._read_back = self._write(settings, is_undo)
                return None
            case Put(flag=flag):
                return self._store.write(check_key(flag).key, self._value(flag))
            case Remove(flag=flag):
                return self._store.delete(flag.key)
            case IsOver(owner=owner):
                who = self._identity(owner)
                return who is not None and has_run_ended(who)
            case KeepNote(before=before, after=after):
                return self._keep_note(before, after)
            case unknown:
                assert_never(unknown)

    def _view(self) -> RechargeView:
        """List all flags. Keys of other versions are ignored."""
        listing = self._store.list(account_prefix(self.me.account))
        if not listing.is_complete:
            raise VideoDBRecordUnreadableError(
                "Airflow has more Variables of pipelines that need automatic recharge than one listing shows. Nothing "
                "was sent. Next step: delete those of ended pipelines (videodb/recharge/…), then retry the task."
            )
        flags = tuple(flag for key in sorted(listing.keys) if (flag := parse_key(key)) is not None)
        # SQLite and MySQL do not tell capitals apart in a prefix.
        flags = tuple(flag for flag in flags if flag.owner.account == self.me.account)
        self._keys |= {flag.owner.holder: flag.key for flag in flags}
        return RechargeView(flags)

    def _identity(self, owner: Holder) -> Identity | None:
        """Return the holder of a flag; ``None`` if unknown."""
        if self._who.get(owner.holder) is None and owner.holder in self._keys:
            self._who[owner.holder] = Identity.from_text(self._store.read(self._keys[owner.holder]))
        return self._who.get(owner.holder)

    def _value(self, flag: RechargeFlag) -> str:
        who = self._identity(flag.owner)
        return "{}" if who is None else who.to_text(kind=flag.mark.name.lower())
