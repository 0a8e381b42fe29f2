"""Random schedules with faults, frozen workers, lags and clocks that differ, over the real code."""

from __future__ import annotations

from decimal import Decimal
from statistics import mean

import pytest

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.claiming import Claim, claim_credits, enqueue
from airflow_provider_videodb.holds.rules.records import Flag, Kind, holder_of, try_of
from airflow_provider_videodb.holds.rules.releasing import collect
from tests.support.holds_search.ablations import ABLATIONS, Ablation
from tests.support.holds_search.campaign import find_without, search_seeds
from tests.support.holds_search.store import MemoryStore
from tests.support.holds_search.utilisation import CONTENDERS, HOLDS, LOADS, ORACLE, measure

ADVERSARYS = [ablation for ablation in ABLATIONS if ablation.model is None]
MINUTE_MS = 60 * 1000
SETTLEMENT_MS = 20 * MINUTE_MS


def test_no_schedule_lets_two_gates_count_on_the_same_credits() -> None:
    found = search_seeds(range(2_000))

    assert (found.violations, found.first, found.what) == (0, None, "")
    assert found.opened_percent > 50


@pytest.mark.parametrize("ablation", ADVERSARYS, ids=lambda ablation: ablation.name)
def test_missing_safeguard_is_noticed(ablation: Ablation) -> None:
    assert find_without(ablation, schedules=1_000) is not None


class Clock:
    """A clock that a test sets."""

    seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


def ledger_of(store: MemoryStore, *, try_number: int, clock: Clock) -> Ledger:
    who = Identity(dag_id="a", run_id="run", task_id="gate", map_index=-1, try_number=try_number, settlement_ms=0)
    return Ledger("shared", store=store, me=who, read_balance=lambda: Decimal(100), is_unused=lambda: True, now=clock)


def claim_of(try_number: int) -> Claim:
    return Claim(
        account="shared",
        holder=holder_of("a", "run", "gate", None),
        try_id=try_of(f"try-{try_number}"),
        credits=Decimal(60),
        priority=0,
        reserve=Decimal(0),
        settlement_ms=SETTLEMENT_MS,
    )


def held_by_try(store: MemoryStore, try_number: int, clock: Clock) -> Flag:
    ledger = ledger_of(store, try_number=try_number, clock=clock)
    assert ledger.run(claim_credits(claim_of(try_number))).is_held
    return next(flag for flag in ledger.view().flags if flag.kind is Kind.HELD)


def test_collected_hold_counts_from_the_end_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 476: a collector was frozen after its listing, and the run ended meanwhile."""
    clock, store = Clock(), MemoryStore(lambda _: None)
    held_by_try(store, 1, clock)
    collector = ledger_of(store, try_number=1, clock=clock)
    view = collector.view()

    clock.seconds += 60 * 60
    monkeypatch.setattr("airflow_provider_videodb.holds.ledger.has_run_ended", lambda _: True)
    collector.run(collect(view, SETTLEMENT_MS))

    (released,) = collector.view().flags
    assert (released.kind, released.ms) == (Kind.RELEASED, collector.now_ms() + SETTLEMENT_MS)


@pytest.mark.parametrize("is_opening", [True, False], ids=["opening", "open"])
def test_earlier_try_leaves_the_hold_of_its_successor(is_opening: bool) -> None:
    """The model check found it: a frozen try went on while its successor opened the gate."""
    clock, store = Clock(), MemoryStore(lambda _: None)
    held = held_by_try(store, 2, clock)
    successor = ledger_of(store, try_number=2, clock=clock)
    if is_opening:
        store.write(claim_of(2).flag(Kind.WAITING, held.ms).key, store.read(held.key) or "")

    ledger_of(store, try_number=1, clock=clock).run(enqueue(claim_of(1)))

    assert held in successor.view().flags


def test_later_try_releases_the_hold_of_an_earlier_one() -> None:
    clock, store = Clock(), MemoryStore(lambda _: None)
    held_by_try(store, 1, clock)
    later = ledger_of(store, try_number=2, clock=clock)

    later.run(enqueue(claim_of(2)))

    assert [flag.kind for flag in later.view().flags if flag.try_id == claim_of(1).try_id] == [Kind.RELEASED]


def test_holds_cost_little_more_wait_than_an_oracle() -> None:
    holds, oracle = (next(one for one in CONTENDERS if one.name == name) for name in (HOLDS, ORACLE))

    ours, best = measure(holds, LOADS[0], 10), measure(oracle, LOADS[0], 10)

    assert (ours.overcommitted, ours.never) == (0, 0)
    assert mean(ours.waits) <= 1.25 * mean(best.waits)
