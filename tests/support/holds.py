"""A model of all that credit holds build on: a store, Airflow's runs, VideoDB's balance and a clock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time.comms import DRCount, GetDRCount, GetTaskStates, TaskStatesResult

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.account import View, count
from airflow_provider_videodb.holds.rules.claiming import Claim, ClaimResult
from airflow_provider_videodb.holds.rules.records import PREFIX, Flag, Kind, holder_of, parse_key, try_of
from airflow_provider_videodb.holds.rules.releasing import Released, collect, release_gate
from airflow_provider_videodb.holds.store import Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ACCOUNT = "shared"
#: The usual time that released credits count, in milliseconds.
SETTLEMENT = 20 * 60_000
MINUTE = 60_000
#: The moment at which each model begins.
START = 1_800_000_000_000


class ProcessDied(BaseException):
    """The process is gone, as after SIGKILL. Nothing of it runs any more."""


class ModelStore:
    """
    Keeps texts in memory, as one process sees them. Each listing is atomic.

    :param kept: shared by the stores of several processes.
    :param page: how many keys a listing returns.
    """

    def __init__(self, kept: dict[str, str] | None = None, *, page: int = 1000) -> None:
        self.kept = {} if kept is None else kept
        self.page = page
        self.calls: list[tuple[str, str]] = []
        #: What happens before and after the nth call, counted from 1.
        self.before: dict[int, Callable[[], object]] = {}
        self.after: dict[int, Callable[[], object]] = {}
        self._is_dead = False

    def die_at(self, nth: int, *, is_done: bool) -> None:
        """Kill the process at its nth call, which is done or not."""
        (self.after if is_done else self.before)[nth] = self._die

    def raise_at(self, nth: int, error: BaseException, *, is_done: bool = False) -> None:
        """Raise an error at the nth call, which is done or not."""

        def fail() -> None:
            raise error

        (self.after if is_done else self.before)[nth] = fail

    def list(self, prefix: str, *, offset: int = 0) -> Listing:
        keys = self._call("list", prefix, lambda: sorted(key for key in self.kept if key.startswith(prefix)))
        page = keys[offset : offset + self.page]
        return Listing(tuple(page), is_complete=len(page) < self.page)

    def read(self, key: str) -> str | None:
        return self._call("read", key, lambda: self.kept.get(key))

    def write(self, key: str, text: str) -> None:
        self._call("write", key, lambda: self.kept.update({key: text}))

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self.kept.pop(key, None))

    def _call(self, what: str, key: str, do: Callable[[], Any]) -> Any:
        if self._is_dead:
            raise ProcessDied
        self.calls.append((what, key))
        nth = len(self.calls)
        self.before.get(nth, lambda: None)()
        result = do()
        self.after.get(nth, lambda: None)()
        return result

    def _die(self) -> None:
        self._is_dead = True
        raise ProcessDied


class Airflow:
    """
    Airflow's runs, as its API server tells a worker of them.

    :param fault: what each question ends in, in place of the response.
    """

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.states: dict[str, dict[str, str | None]] = {}
        self.fault: Any = None
        self.asked: list[Any] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put it where a task asks the API server."""
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", self, raising=False)

    def send(self, question: Any) -> Any:
        self.asked.append(question)
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            return self.fault
        if isinstance(question, GetDRCount):
            assert question.states == ["queued", "running"]
            return DRCount(count=len(set(question.run_ids or ()) - self.ended))
        assert isinstance(question, GetTaskStates), f"nobody asks this: {question!r}"
        return TaskStatesResult(task_states={run: self.states.get(run, {}) for run in question.run_ids or ()})


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task instance, as Airflow gives it to an operator."""

    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "gate"
    map_index: int | None = -1
    try_number: int = 1

    @property
    def id(self) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, repr(self))

    @property
    def holder(self) -> str:
        return holder_of(self.dag_id, self.run_id, self.task_id, self.map_index)

    @property
    def try_id(self) -> str:
        return try_of(self.id)

    def next_try(self) -> Task:
        return replace(self, try_number=self.try_number + 1)


@dataclass
class World:
    """
    An account that gates share.

    :param is_unused: whether the jobs behind an earlier try have certainly ended, or never began.
    """

    balance: int = 100
    now_ms: int = START
    is_unused: bool = True
    kept: dict[str, str] = field(default_factory=dict)
    airflow: Airflow = field(default_factory=Airflow)

    def store(self) -> ModelStore:
        """Return the store as a new process sees it."""
        return ModelStore(self.kept)

    def ledger(self, task: Task | None = None, *, store: ModelStore | None = None, skew_ms: int = 0) -> Ledger:
        return Ledger(
            ACCOUNT,
            store=self.store() if store is None else store,
            me=None if task is None else Identity.of(task, settlement_ms=SETTLEMENT),
            read_balance=lambda: Decimal(self.balance),
            is_unused=lambda: self.is_unused,
            now=lambda: (self.now_ms + skew_ms) / 1000,
        )

    def claim(
        self,
        task: Task,
        credits: object,
        *,
        store: ModelStore | None = None,
        skew_ms: int = 0,
        priority: int = 0,
        reserve: int = 0,
    ) -> ClaimResult:
        from airflow_provider_videodb.holds.rules.claiming import claim_credits

        claim = claim_of(task, credits, priority=priority, reserve=reserve)
        return self.ledger(task, store=store, skew_ms=skew_ms).run(claim_credits(claim))

    def release(
        self,
        task: Task,
        *,
        spent: int | None = None,
        store: ModelStore | None = None,
        skew_ms: int = 0,
        view: View | None = None,
        why: str = "the teardown",
    ) -> Released:
        ledger = self.ledger(store=store, skew_ms=skew_ms)
        amount = None if spent is None else Decimal(spent)
        listed = ledger.pages() if view is None else view
        steps = release_gate(listed, task.holder, settlement_ms=lambda _: SETTLEMENT, why=why, spent=amount)
        return ledger.run(steps)

    def collect(self, *, store: ModelStore | None = None, skew_ms: int = 0) -> None:
        ledger = self.ledger(store=store, skew_ms=skew_ms)
        ledger.run(collect(ledger.view(), SETTLEMENT))

    def put(self, flag: Flag, text: str = "{}") -> Flag:
        self.kept[flag.key] = text
        return flag

    def flags(self) -> list[Flag]:
        return [flag for key in sorted(self.kept) if (flag := parse_key(key)) is not None]

    def shown(self) -> list[str]:
        """Return the kind and credits of all flags."""
        return sorted(f"{flag.kind} {flag.credits}" for flag in self.flags())

    def available(self) -> Decimal:
        """Return what a stranger may hold."""
        return self.balance - sum((one.flag.credits for one in count(self.ledger().view())), Decimal(0))

    def may_start(self, credits: object) -> bool:
        """Tell whether a stranger could open its gate now. Nothing changes."""
        elsewhere = replace(self, kept=dict(self.kept))
        return elsewhere.claim(Task(dag_id="stranger"), credits).is_held


def claim_of(task: Task, credits: object, *, priority: int = 0, reserve: int = 0) -> Claim:
    return Claim(
        account=ACCOUNT,
        holder=task.holder,
        try_id=task.try_id,
        credits=Decimal(str(credits)),
        priority=priority,
        reserve=Decimal(reserve),
        settlement_ms=SETTLEMENT,
    )


def flag(kind: Kind, task: Task | None = None, credits: object = 10, *, ms: int = START, priority: int = 0) -> Flag:
    """Return a flag of a task, or one of the whole account."""
    return Flag(
        account=ACCOUNT,
        holder="-" if task is None else task.holder,
        try_id="-" if task is None else task.try_id,
        kind=kind,
        credits=Decimal(str(credits)),
        ms=ms,
        priority=priority,
    )


def text_of(task: Task) -> str:
    """Return the value of a task's flags."""
    return Identity.of(task, settlement_ms=SETTLEMENT).to_text()


def foreign_key(rest: str) -> str:
    """Return a key under the prefix of the account."""
    return f"{PREFIX}{ACCOUNT}/{rest}"
