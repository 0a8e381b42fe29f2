"""
Tries every order in which the steps of gates can happen, over the real generators.

Each gate asks for one credit, and each job spends one. There is no clock: a release counts until its charge shows, and
no longer. A process is the list of results that it was sent, so equal states are found and visited once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError, VideoDBRecordNotKeptError
from airflow_provider_videodb.holds.gate import is_earlier_try_unused
from airflow_provider_videodb.holds.rules import claiming, releasing, steps
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.holds_search.model_state import FINISHED, NOW, SETTLING, Gate, Process, State, moves_of_world

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from airflow_provider_videodb.holds.rules.records import Flag
    from tests.support.holds_search.model_state import Move

_ONE = Decimal(1)
_UNSEEN = (steps.SettlesAt, steps.IsEarlier, steps.WriteJournal)
_FAILURE = VideoDBRecordNotKeptError("Airflow did not confirm it.")


@dataclass(frozen=True)
class Checked:
    """
    What the check found.

    :param path: the moves to the first violation; ``None`` if there is none.
    """

    states: int
    path: list[str] | None


@dataclass(frozen=True)
class Ended:
    """A generator has returned, or raised."""

    is_held: bool = False


@dataclass(frozen=True)
class IsCurrent:
    """Ask whether this is the newest try."""


_NEVER_FAIL = (steps.IsOver, steps.IsUnused, IsCurrent)


def check(
    *, gates: int, errors: int = 0, stale_try: bool = False, stale_release: bool = False, looks_at_once: bool = False
) -> Checked:
    """
    Visit every state.

    :param errors: how many steps may fail, with or without their effect.
    :param stale_try: whether an earlier try of gate 0 goes on, as after a freeze. It may stop anywhere, so this covers
        a try that was killed.
    :param stale_release: whether a release of gate 0 goes on, though a person has cleared the gate.
    :param looks_at_once: whether all that a gate does before it raises its flag happens in one move. It decides who
        tries to open, and nothing else.
    """
    for cached in (_next_step, _same_as, _only_looks):
        cached.cache_clear()
    _REPRESENTATIVES.clear()
    stale = [Process(0, 1)] * stale_try + [Process(0, 1, releases=True)] * stale_release
    first_try = 2 if stale else 1
    first = State(
        left=1,
        gates=(Gate(try_number=first_try), *[Gate()] * (gates - 1)),
        processes=(*stale, Process(0, first_try), *(Process(number, 1) for number in range(1, gates))),
        flags=frozenset(),
        errors=errors,
        looks_at_once=looks_at_once,
    )
    came_from: dict[State, tuple[State, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        for move, following in _moves(state):
            if following in came_from:
                continue
            came_from[following] = state, move
            if following.is_violation:
                return Checked(len(came_from), _path(came_from, following))
            queue.append(following)
    return Checked(len(came_from), None)


def _path(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    path = []
    while (step := came_from[state]) is not None:
        state = step[0]
        path.append(step[1])
    return path[::-1]


def _moves(state: State) -> Iterator[Move]:
    yield from moves_of_world(state)
    for process in state.processes:
        step = _next_step(process)
        name = f"{'release' if process.releases else 'gate'} {process.gate}.{process.try_number}"
        if isinstance(step, Ended):
            yield f"{name} ends", _end(state, process, step)
            continue
        told, flags = _perform(state, process, step)
        done = state._replace(flags=flags)
        yield f"{name} {_describe(step)}", _tell(done, process, told)
        if state.errors and not isinstance(step, _NEVER_FAIL):
            failing = state._replace(errors=state.errors - 1)
            yield f"{name} meets an error", _tell(failing, process, _FAILURE)
            if flags != state.flags:
                yield f"{name} {_describe(step)}, and an error", _tell(failing._replace(flags=flags), process, _FAILURE)


def _tell(state: State, process: Process, told: Any) -> State:
    following = process._replace(told=(*process.told, told))
    # These see nothing that another process changes, so their moment does not matter.
    while isinstance(step := _next_step(following), _UNSEEN) or (state.looks_at_once and _only_looks(following)):
        told, flags = _perform(state, following, step)
        state = state._replace(flags=flags)
        following = following._replace(told=(*following.told, told))
    if not isinstance(step, Ended):
        following = _same_as(following)
    return state.without(process).with_process(following)


def _is_current(state: State, process: Process) -> bool:
    gate = state.gates[process.gate]
    if process.releases:
        return gate.release == "running" and process.try_number == gate.try_number
    return gate.try_number == process.try_number and not gate.is_open


def _end(state: State, process: Process, ended: Ended) -> State:
    following = state.without(process)
    if not _is_current(state, process):
        # Airflow takes no word from an earlier try.
        return following
    if process.releases:
        return following.with_gate(process.gate, release=FINISHED, is_active=False)
    if ended.is_held:
        return following.with_gate(process.gate, is_open=True)
    return following.with_process(process._replace(told=()))


def _perform(state: State, process: Process, step: Any) -> tuple[Any, frozenset[Flag]]:  # noqa: PLR0911 - one per step
    match step:
        case steps.ListFlags():
            return _view(state.flags), state.flags
        case steps.ReadBalance():
            return state.balance, state.flags
        case steps.SettlesAt(settlement_ms=settlement_ms):
            return NOW + settlement_ms, state.flags
        case steps.Put(flag=flag):
            return None, state.flags | {flag}
        case steps.Remove(flag=flag):
            return None, state.flags - {flag}
        case steps.IsOver(flag=flag):
            gate = state.gates[int(flag.holder)]
            return not gate.is_active or (flag.kind is Kind.WAITING and gate.is_open), state.flags
        case steps.IsEarlier(flag=flag):
            return is_earlier(process, flag), state.flags
        case steps.IsUnused():
            gate = state.gates[process.gate]
            return is_earlier_try_unused([gate.job, gate.release], is_setup=True), state.flags
        case IsCurrent():
            return _is_current(state, process), state.flags
        case _:
            return None, state.flags


@lru_cache(maxsize=100_000)
def _view(flags: frozenset[Flag]) -> View:
    return View(flags=tuple(sorted(flags, key=lambda flag: flag.key)), listed_at=NOW)


@cache
def _next_step(process: Process) -> Any:
    return _replay(process)[1]


@cache
def _same_as(process: Process) -> Process:
    """Return the first process that stands at the same place with the same variables."""
    key = process.gate, process.try_number, process.releases, _variables(_replay(process)[0])
    return _REPRESENTATIVES.setdefault(key, process)


_REPRESENTATIVES: dict[Any, Process] = {}


def _replay(process: Process) -> tuple[Generator[Any, Any, Any], Any]:
    program: Generator[Any, Any, Any] = (
        _release(process) if process.releases else claiming.claim_credits(_claim(process))
    )
    try:
        step = next(program)
        for told in process.told:
            step = program.throw(told) if told is _FAILURE else program.send(told)
    except StopIteration as end:
        return program, Ended(is_held=bool(getattr(end.value, "is_held", False)))
    except VideoDBError:
        return program, Ended()
    return program, step


@cache
def _only_looks(process: Process) -> bool:
    """Tell whether a process that has begun neither raises a flag here nor releases one."""
    program, step = _replay(process)
    if not process.told or isinstance(step, Ended):
        return False
    if isinstance(step, steps.Put | steps.Remove):
        return step.flag.kind is Kind.WAITING
    return bool(_variables(program)[-1][0] in {"claim_credits", "enqueue", "collect", "_release", "release_gate"})


def _variables(program: Any) -> Any:
    """Return where a generator stands, and its variables. The flags of a loop differ, so they say how far it is."""
    frames = []
    inner = program
    while getattr(inner, "gi_frame", None) is not None:
        frame = inner.gi_frame
        variables = tuple(sorted((name, _hashable(value)) for name, value in frame.f_locals.items()))
        frames.append((frame.f_code.co_name, frame.f_lasti, variables))
        inner = inner.gi_yieldfrom
    return tuple(frames)


def _hashable(value: Any) -> int:
    if isinstance(value, dict):
        return hash(tuple((name, _hashable(one)) for name, one in value.items()))
    # Within one check, equal values have equal hashes, and 64 bits tell the few thousand others apart.
    return hash(tuple(value) if isinstance(value, list) else frozenset(value) if isinstance(value, set) else value)


def _release(process: Process) -> Generator[Any, Any, None]:
    view = yield steps.ListFlags()
    if may_release((yield IsCurrent())):
        yield from releasing.release_gate(
            view, str(process.gate), settlement_ms=lambda _: SETTLING - NOW, why="the release"
        )


def may_release(is_current: bool) -> bool:
    """Tell whether a release may act on what it has listed."""
    return is_current


def is_earlier(process: Process, flag: Flag) -> bool:
    """Tell whether a flag belongs to an earlier try, as the ledger tells it by the number of the try."""
    return int(flag.try_id) < process.try_number


def _claim(process: Process) -> claiming.Claim:
    return claiming.Claim(
        account="a",
        holder=str(process.gate),
        try_id=str(process.try_number),
        credits=_ONE,
        priority=0,
        reserve=_ONE - _ONE,
        settlement_ms=SETTLING - NOW,
    )


def _describe(step: Any) -> str:
    flag = getattr(step, "flag", None)
    return type(step).__name__ + (f" {flag.kind} {flag.holder}.{flag.try_id}" if flag else "")
