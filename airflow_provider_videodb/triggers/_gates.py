"""
What a waiting gate sees of its account.

One poll lists the holds and reads the balance for all gates of an account. A trigger only finds out when a gate may
open. The gate itself decides in a worker, because between this poll and that moment others may have gone first.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBError
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.claiming import Claim, enqueue
from airflow_provider_videodb.holds.rules.messages import describe_wait
from airflow_provider_videodb.holds.rules.records import account_part, try_of
from airflow_provider_videodb.holds.rules.releasing import collect
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.holds.rules.account import Assessment, View
    from airflow_provider_videodb.holds.rules.records import Flag
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

#: Seconds between two requests to Airflow about the same flag.
_ASK_EVERY = 60.0
#: Seconds after which a worker checks the hold of an earlier try again, because a trigger cannot.
RECHECK_EVERY = 300.0
#: Limit of reports per second for all gates of a triggerer, because each report writes a log line and an XCom.
_REPORTS_PER_SECOND = 16
_SHORTEST_PAUSE = 5.0
#: Marks the try of a place in the queue that a triggerer took.
IN_TRIGGERER = "t"


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountView:
    """
    What one poll read of an account.

    :param usage: read after the flags were listed.
    :param view: the flags; ``None`` if the poll does not list them.
    :param settings: the connection.
    :param first: who is next in line; ``None`` if unknown.
    """

    usage: Usage
    settings: ConnectionSettings
    view: View | None = None
    first: Identity | None = None


class AccountHolds:
    """
    The holds of one account, for one poll.

    :param settings: the connection.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settlement_ms = settings.settlement_ms
        self._asked: dict[str, float] = {}
        self._ledger = Ledger(account_part(settings.credit_account), may_ask=self._may_ask)

    def list(self) -> View:
        """List the flags."""
        return self._ledger.view()

    def collect(self, view: View) -> None:
        """Remove the flags of ended tasks; a later poll retries failures."""
        self._asked = {key: at for key, at in self._asked.items() if time.monotonic() - at < _ASK_EVERY}
        try:
            self._ledger.run(collect(view, self._settlement_ms))
        except VideoDBError:
            return

    def first_in_line(self, view: View) -> Identity | None:
        """Return who is next in line; ``None`` if unknown."""
        try:
            return self._ledger.who(view.queue[0]) if view.queue else None
        except VideoDBError:
            return None

    def _may_ask(self, flag: Flag) -> bool:
        if flag.key in self._asked:
            return False
        self._asked[flag.key] = time.monotonic()
        return True


@dataclass(frozen=True, kw_only=True)
class WaitingGate:
    """
    How a trigger assesses the account for its gate.

    :param holder: see :func:`~airflow_provider_videodb.holds.rules.records.holder_of`; empty if it has no place in the
        queue.
    :param needs_place: whether no worker has put the gate into the queue yet.
    :param decides_in_worker: whether a worker has to decide, because the gate holds or audits.
    :param respects_holds: whether a gate without a hold subtracts what others hold.
    """

    holds: bool
    holder: str = ""
    try_id: str = ""
    priority: int = 0
    needs_place: bool = False
    decides_in_worker: bool = False
    respects_holds: bool = True

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> WaitingGate:
        """
        Read the JSON form, without a newer version's fields.

        :raises VideoDBConfigError: if it cannot be read.
        """
        try:
            return cls(
                holds=bool(fields["holds"]),
                holder=str(fields.get("holder", "")),
                try_id=str(fields.get("try_id", "")),
                priority=int(fields.get("priority", 0)),
                needs_place=bool(fields.get("needs_place", False)),
                decides_in_worker=bool(fields.get("decides_in_worker", False)),
                respects_holds=bool(fields.get("respects_holds", True)),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise VideoDBConfigError(
                f"The trigger's gate is {str(fields)[:200]!r}, which this version cannot read. Nothing was sent. Next "
                "step: install the same version of this package on workers and triggerers, then retry the task."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the trigger."""
        return {
            "holds": self.holds,
            "holder": self.holder,
            "try_id": self.try_id,
            "priority": self.priority,
            "needs_place": self.needs_place,
            "decides_in_worker": self.decides_in_worker,
            "respects_holds": self.respects_holds,
        }

    def claim(self, credits: Decimal, settings: ConnectionSettings) -> Claim:
        """Return what the gate wants of the account."""
        return Claim(
            account=account_part(settings.credit_account),
            holder=self.holder,
            try_id=self.try_id,
            credits=credits,
            priority=self.priority,
            reserve=settings.credit_reserve,
            settlement_ms=settings.settlement_ms,
        )

    def may_open(self, credits: Decimal, account: AccountView, view: View) -> bool:
        """Tell whether the gate may open now."""
        claim, balance = self.claim(credits, account.settings), account.usage.credit_balance
        if self.holds:
            return claim.is_next(view, balance)
        return claim.can_hold(view, balance) if self.respects_holds else balance - claim.reserve >= credits

    def describe_wait(self, credits: Decimal, account: AccountView, seen: Assessment) -> str | None:
        """
        Say why the gate waits.

        :return: ``None`` if it holds nothing and the holds of others do not keep it closed.
        """
        if not self.holds and not (self.respects_holds and (seen.counted or not seen.is_open)):
            return None
        is_other_first = seen.first is not None and seen.first.holder != self.holder
        return describe_wait(seen, credits, first=account.first if self.holds and is_other_first else None)

    def has_earlier_hold(self, view: View) -> bool:
        """
        Tell whether an earlier try of this gate holds credits.

        Only a worker can tell whether that hold is still used. The worker of a gate without a hold does not check this,
        so such a gate waits for the end of the DAG run.
        """
        return self.holds and any(
            holder == self.holder and try_id != self.try_id and not one.is_settling
            for (holder, try_id), one in view.counted.items()
        )


class Reports:
    """
    Decides when a waiting gate reports its reason.

    It reports each change once, and not too often. A worker reports the first reason before the wait begins.
    """

    def __init__(self) -> None:
        self._last = ""
        self._not_before: float | None = None

    def may_report(self, *, waiting: int, now: float) -> bool:
        """
        Tell whether enough time has passed.

        :param waiting: how many gates wait.
        :param now: seconds of the monotonic clock.
        """
        if self._not_before is None:
            # A thousand gates would otherwise report at the same moment.
            self._not_before = now + random.uniform(0, waiting / _REPORTS_PER_SECOND)  # noqa: S311 - not a secret
        return now >= self._not_before

    def is_news(self, text: str, *, waiting: int, now: float) -> bool:
        """Tell whether this text is new, and remember it."""
        self._not_before = now + _SHORTEST_PAUSE + waiting / _REPORTS_PER_SECOND
        is_news, self._last = text != self._last, text
        return is_news


async def take_place(gate: WaitingGate, credits: Decimal, *, conn_id: str, ti: Any) -> WaitingGate:
    """
    Put a gate into the queue if no worker has.

    :param ti: the task instance of the trigger.
    :return: the gate, with its place.
    :raises VideoDBConfigError: if Airflow does not tell which task the trigger belongs to.
    """
    if ti is None and gate.holder:
        # dag.test() runs a trigger without its task. Its worker takes the place when it decides.
        return replace(gate, needs_place=False)
    if ti is None:
        raise VideoDBConfigError(
            "Airflow did not say which task this trigger belongs to, so the task has no place in the queue. Nothing "
            "was held. Next step: remove start_from_trigger from the task."
        )
    settings = await VideoDBBillingHook(conn_id).aget_settings()
    who = Identity.of(ti, settlement_ms=settings.settlement_ms)
    placed = replace(gate, holder=who.holder, try_id=try_of(ti.id), needs_place=False)
    # A frozen triggerer may do this after the gate has opened. The mark keeps this flag apart from those of a worker,
    # which tell whether the gate has opened.
    claim = replace(placed, try_id=f"{placed.try_id}{IN_TRIGGERER}").claim(credits, settings)
    # A thread sends the requests, because they would block the event loop.
    await asyncio.to_thread(Ledger(claim.account, me=who).run, enqueue(claim))
    return placed
