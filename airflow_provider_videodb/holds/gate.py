"""
Decides in a worker whether a gate may open.

The caller reads the connection and the balance. This module lists the holds, raises flags and takes them down.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.holds.airflow_runs import FINISHED, states_of
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.claiming import Claim, claim_credits
from airflow_provider_videodb.holds.rules.messages import describe_wait
from airflow_provider_videodb.holds.rules.records import Kind, account_part, try_of
from airflow_provider_videodb.holds.rules.releasing import collect
from airflow_provider_videodb.holds.rules.steps import Remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.holds.rules.account import Assessment
    from airflow_provider_videodb.holds.store import HoldStore

#: States of a task that Airflow starts only when the gate before it has succeeded. A job that was cleared while it ran
#: is up for retry.
_NOT_BEGUN = (None, "up_for_retry")
#: How many times a gate tries in a row while another gate raises its flag at the same time.
_TRIES = 3
#: Longest pause between two of these tries, in seconds.
_LONGEST_PAUSE = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """
    Whether a gate may open.

    :param usage: the usage that was read last.
    :param seen: the assessment that decided.
    :param credits: what the gate needs.
    :param is_held: whether it holds the credits now.
    :param missing: credits that have to be bought; 0 if none, or if buying would not open the gate.
    :param first: who is next in line; ``None`` if it is this gate, or unknown.
    """

    is_open: bool
    usage: Usage
    seen: Assessment
    credits: Decimal
    is_held: bool = False
    missing: Decimal = Decimal(0)
    first: Identity | None = None

    @property
    def reason(self) -> str:
        """Why the gate waits."""
        return describe_wait(self.seen, self.credits, first=self.first)

    def to_dict(self) -> dict[str, Any]:
        """Return what a gate adds to its XCom."""
        return {
            "held": to_json_number(self.credits) if self.is_held else 0,
            "balance": to_json_number(self.usage.credit_balance),
            "available": to_json_number(self.seen.available),
        }


class CreditGate:
    """
    One try of a gate.

    :param ti: the task instance of Airflow.
    :param account: the name of the account, see ``credit_account`` of the connection.
    :param reserve: credits that no gate may use.
    :param settlement_ms: how long released credits count, in milliseconds.
    :param credits: what the gate needs.
    :param get_usage: reads the balance from VideoDB.
    :param downstream: the ids of the tasks behind the gate.
    :param is_setup: whether Airflow starts no task behind the gate before the gate has succeeded again.
    """

    def __init__(
        self,
        *,
        ti: Any,
        account: str,
        reserve: Decimal,
        settlement_ms: int,
        credits: Decimal,
        get_usage: Callable[[], Usage],
        priority: int = 0,
        downstream: frozenset[str] = frozenset(),
        is_setup: bool = False,
        store: HoldStore | None = None,
    ) -> None:
        self._who = Identity.of(ti, settlement_ms=settlement_ms)
        self._get_usage = get_usage
        self._downstream = downstream
        self._is_setup = is_setup
        self.claim = Claim(
            account=account_part(account),
            holder=self._who.holder,
            try_id=try_of(ti.id),
            credits=credits,
            priority=priority,
            reserve=reserve,
            settlement_ms=settlement_ms,
        )
        self._usage: Usage | None = None
        self._ledger = Ledger(
            self.claim.account,
            store=store,
            me=self._who,
            read_balance=self._read_balance,
            is_unused=self._is_earlier_try_unused,
        )

    def look(self) -> Admission:
        """Assess the account without raising a flag."""
        seen, is_outdated = self._look_once()
        for _ in range(_TRIES - 1):
            if not is_outdated:
                break
            seen, is_outdated = self._look_once()
        return self._admission(seen, is_open=seen.can_hold(self.claim.credits), is_certain=not is_outdated)

    def hold(self) -> Admission:
        """
        Hold the credits, or join the queue.

        :raises VideoDBError: if the store or VideoDB does not respond. Then the gate holds nothing.
        """
        result = self._ledger.run(claim_credits(self.claim))
        for _ in range(_TRIES - 1):
            if not (result.was_contended or result.is_outdated):
                break
            if result.was_contended:
                time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - not a secret
            result = self._ledger.run(claim_credits(self.claim))
        is_certain = not (result.was_contended or result.is_outdated)
        return self._admission(result.seen, is_open=result.is_held, is_held=result.is_held, is_certain=is_certain)

    def leave(self, *, keeps_place: bool = False) -> None:
        """
        Take the flags of a failed try down.

        The try fails before its gate opens, so no job uses its hold.

        :param keeps_place: whether a retry takes the place in the queue.
        """
        for flag in self._ledger.view().flags:
            is_own_hold = flag.kind is Kind.HELD and flag.owner == self.claim.owner
            is_place = flag.kind is Kind.WAITING and flag.holder == self.claim.holder
            if is_own_hold or (is_place and not keeps_place):
                self._ledger.do(Remove(flag))

    def _look_once(self) -> tuple[Assessment, bool]:
        """Return an assessment, and whether it still counts somebody who has left the queue."""
        view = self._ledger.view()
        seen = self.claim.assess(view, self._read_balance())
        is_open = seen.can_hold(self.claim.credits)
        return seen, not is_open and self._ledger.run(collect(view, self.claim.settlement_ms))

    def _admission(
        self, seen: Assessment, *, is_open: bool, is_held: bool = False, is_certain: bool = True
    ) -> Admission:
        if self._usage is None:
            raise RuntimeError("The balance was not read.")
        is_other_first = seen.first is not None and seen.first.holder != self.claim.holder
        first = self._ledger.who(seen.first) if seen.first is not None and is_other_first and not is_open else None
        # Gates that raised their flags at the same time take them down again. So their credits are not missing. Nor
        # are those that were promised to a gate that has left the queue.
        is_missing = is_certain and not is_open
        return Admission(
            is_open=is_open,
            usage=self._usage,
            seen=seen,
            credits=self.claim.credits,
            is_held=is_held,
            missing=seen.shortfall(self.claim.credits, but=self.claim.holder) if is_missing else Decimal(0),
            first=first,
        )

    def _read_balance(self) -> Decimal:
        self._usage = self._get_usage()
        return self._usage.credit_balance

    def _is_earlier_try_unused(self) -> bool:
        states = states_of(self._who, sorted(self._downstream)) if self._downstream else []
        return states is not None and is_earlier_try_unused(states, is_setup=self._is_setup)


def is_earlier_try_unused(states: list[str | None], *, is_setup: bool) -> bool:
    """
    Tell whether no job uses an earlier hold. Pure.

    A task that waits for its retry begins only after the gate has succeeded again.

    :param states: of the tasks behind the gate; ``None`` for a task that has not begun.
    :param is_setup: whether a task that has not begun has to wait for the gate again.
    """
    if is_setup:
        return all(state in _NOT_BEGUN or state in FINISHED for state in states)
    return all(state in _NOT_BEGUN for state in states) or all(state in FINISHED for state in states)
