"""
Takes one safeguard of the holds out, so that a search can show what it is for.

Each one replaces a real function of the package by another, built from the same steps.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_videodb.holds import ledger
from airflow_provider_videodb.holds.rules import account, claiming, releasing, steps
from airflow_provider_videodb.holds.rules.claiming import Claim, ClaimResult
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from airflow_provider_videodb.holds.rules.steps import ListFlags, Put, ReadBalance, Remove, SettlesAt
from tests.support.holds_search import model_check, programs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from airflow_provider_videodb.holds.rules.account import View

_Steps: TypeAlias = "Generator[steps.Step, Any, ClaimResult]"
_LEASE_MS = 30 * 60 * 1000


@dataclass(frozen=True)
class Ablation:
    """
    A safeguard, and what stands in for it.

    :param replaced: owners and names of functions, and what replaces them.
    :param model: the model check that notices that it is gone; ``None`` if that needs the adversary's clocks.
    """

    name: str
    replaced: tuple[tuple[Any, str, Any], ...]
    model: dict[str, Any] | None = None

    @contextlib.contextmanager
    def taken_out(self) -> Iterator[None]:
        """Do without the safeguard."""
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in self.replaced]
        try:
            for owner, name, value in self.replaced:
                setattr(owner, name, value)
            yield
        finally:
            for owner, name, value in before:
                setattr(owner, name, value)


def _opens(claim: Claim, held: Flag, waiting: Flag, seen: account.Assessment) -> _Steps:
    if seen.can_hold(claim.credits):
        yield Remove(waiting)
        return ClaimResult(is_held=True, seen=seen)
    yield Remove(held)
    return ClaimResult(is_held=False, seen=seen, was_contended=True)


def _balance_before_the_flag(claim: Claim, now: int, waiting: Flag) -> _Steps:
    held = claim.flag(Kind.HELD, now)
    balance = yield ReadBalance()
    yield Put(held)
    return (yield from _opens(claim, held, waiting, claim.assess((yield ListFlags()), balance)))


def _balance_before_the_listing(claim: Claim, now: int, waiting: Flag) -> _Steps:
    held = claim.flag(Kind.HELD, now)
    yield Put(held)
    balance = yield ReadBalance()
    return (yield from _opens(claim, held, waiting, claim.assess((yield ListFlags()), balance)))


def _check_then_put(claim: Claim, now: int, waiting: Flag) -> _Steps:
    held = claim.flag(Kind.HELD, now)
    view = yield ListFlags()
    seen = claim.assess(view, (yield ReadBalance()))
    if seen.can_hold(claim.credits):
        yield Put(held)
    return (yield from _opens(claim, held, waiting, seen))


def _no_settlement(flag: Flag, **_: Any) -> Generator[steps.Step, Any, None]:
    yield Remove(flag)


def _removed_before_released(
    flag: Flag, *, settlement_ms: int, why: str, view: View, spent: Any = None
) -> Generator[steps.Step, Any, None]:
    yield Remove(flag)
    yield from _release_flag(flag, settlement_ms=settlement_ms, why=why, view=view, spent=spent)


def _settles_from_the_listing(
    flag: Flag, *, settlement_ms: int, why: str, view: View, spent: Any = None
) -> Generator[steps.Step, Any, None]:
    for step in (walk := _release_flag(flag, settlement_ms=settlement_ms, why=why, view=view, spent=spent)):
        if isinstance(step, SettlesAt):
            put = walk.send(view.listed_at + step.settlement_ms)
            yield put
        else:
            yield step


def _nothing(*_: object) -> Decimal:
    return Decimal(0)


def _always(*_: object) -> bool:
    return True


def _expires(view: View) -> list[account.Counted]:
    return [one for one in _count(view) if one.flag.kind is not Kind.HELD or one.flag.ms + _LEASE_MS > view.listed_at]


_release_flag = releasing.release_flag
_count = account.count


def _settles_early(view: View) -> list[account.Counted]:
    """Count a release for 5 minutes instead of 20."""
    return _count(replace(view, listed_at=view.listed_at + 15 * 60 * 1000))


_TWO_GATES: dict[str, Any] = {"gates": 2, "looks_at_once": True}

ABLATIONS = (
    Ablation(
        "no holds, threshold only",
        ((account.Assessment, "held", Decimal(0)), (account, "held_by_others", _nothing)),
        _TWO_GATES,
    ),
    Ablation("check, then put", ((claiming, "_raise_flag", _check_then_put),), _TWO_GATES),
    Ablation("balance before the flag", ((claiming, "_raise_flag", _balance_before_the_flag),), _TWO_GATES),
    Ablation("balance before the listing", ((claiming, "_raise_flag", _balance_before_the_listing),), _TWO_GATES),
    Ablation(
        "no settlement",
        ((claiming, "release_flag", _no_settlement), (releasing, "release_flag", _no_settlement)),
        _TWO_GATES,
    ),
    Ablation(
        "h removed before r is there",
        ((claiming, "release_flag", _removed_before_released), (releasing, "release_flag", _removed_before_released)),
        _TWO_GATES,
    ),
    Ablation(
        "an earlier try tidies up after a later one",
        ((ledger.Ledger, "_is_earlier", _always), (model_check, "is_earlier", _always)),
        _TWO_GATES | {"stale_try": True},
    ),
    Ablation(
        "a release that has been replaced goes on",
        ((programs, "may_release", _always), (model_check, "may_release", _always)),
        _TWO_GATES | {"stale_release": True},
    ),
    Ablation(
        "settlement counts from the listing on",
        ((claiming, "release_flag", _settles_from_the_listing), (releasing, "release_flag", _settles_from_the_listing)),
    ),
    Ablation("five minutes of settlement", ((account, "count", _settles_early),)),
    Ablation("holds expire after 30 minutes", ((account, "count", _expires),)),
)
