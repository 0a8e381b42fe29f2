"""
Every order of events of pipelines that switch one account's automatic recharge on and back.

The steps are the real ones. The store, VideoDB's settings, deaths and a person are a model. A state is what the world
shows plus what each task has been told so far, so equal states are explored once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.holds.rules.recharge import Holder, combine, parse_key
from airflow_provider_videodb.holds.rules.recharge_pair import join, leave
from airflow_provider_videodb.holds.rules.recharge_steps import (
    IsOver,
    KeepNote,
    ListFlags,
    Outcome,
    Put,
    ReadSettings,
    Remove,
    WriteSettings,
)
from tests.support.recharge_replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def settings(enabled: bool, threshold: int | None, amount: int | None) -> AutoRecharge:
    figures = [None if figure is None else Decimal(figure) for figure in (threshold, amount)]
    return AutoRecharge(enabled=enabled, threshold=figures[0], amount=figures[1])


FOUND = settings(False, 5, 25)
PERSON = settings(True, 33, 44)
WANTS = (settings(True, 20, 100), settings(True, 30, 50), settings(True, None, 70))
#: What a pipeline does next. It rests in the states of the second line.
SETUP, TEARDOWN = "setup", "teardown"
WAITS, WORKS, GONE, VANISHED, DIED = "waits", "works", "gone", "vanished", "died"
RESTS = (WAITS, WORKS, GONE, VANISHED, DIED)
ENDED = (GONE, VANISHED, DIED)


@dataclass(frozen=True, eq=False)
class Memory:
    """
    A point in the steps of a task. Points with the same future are one object.

    :param told: the results of the steps so far.
    :param step: the next step, or the outcome.
    """

    told: tuple[Any, ...]
    step: Any


class Task(NamedTuple):
    """
    A pipeline.

    :param is_behind: whether a person has changed the settings since this task read them.
    """

    phase: str = WAITS
    tries: int = 0
    memory: Memory | None = None
    is_behind: bool = False


class World(NamedTuple):
    """
    One state.

    :param deaths: how many tasks may still die.
    :param changes: what the person will still do.
    :param is_lost: whether a task has overwritten a person's change that it could not know of.
    :param running: who took the last step.
    :param switches: how often a task may still be interrupted by another one; ``None`` for always.
    """

    tasks: tuple[Task, ...]
    flags: frozenset[str] = frozenset()
    settings: AutoRecharge = FOUND
    deaths: int = 0
    changes: tuple[AutoRecharge, ...] = ()
    changed: AutoRecharge | None = None
    is_lost: bool = False
    running: int = -1
    switches: int | None = None


@dataclass
class Model:
    """
    Explores all states from one on.

    :param steps: makes the steps of a phase; a test may put broken ones here.
    :param vanishes: whether a DAG run may end without its teardown.
    """

    start: World
    vanishes: bool = False
    join: Callable[..., Any] = join
    leave: Callable[..., Any] = leave
    seen: set[World] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[str, list[str]]] = field(default_factory=list)
    _memories: dict[Any, Memory] = field(default_factory=dict)
    _told: dict[Any, Memory] = field(default_factory=dict)

    def explore(self, *, limit: int = 10_000_000) -> Model:
        """Visit every state. Keep the first few that are wrong, each with the way to it."""
        todo: list[tuple[World, tuple[Any, ...]]] = [(self.start, ())]
        self.seen.add(self.start)
        while todo and len(self.seen) < limit and len(self.wrong) < 5:
            world, way = todo.pop()
            for what, after in self._moves(world):
                if after not in self.seen:
                    self.seen.add(after)
                    came = (what, way)
                    self._check(after, came)
                    todo.append((after, came))
        assert not todo or self.wrong, f"more than {limit} states"
        return self

    def _moves(self, world: World) -> Iterator[tuple[str, World]]:
        """Return what may happen next."""
        if world.changes:
            changed = world.changes[0]
            tasks = tuple(task._replace(is_behind=True) for task in world.tasks)
            yield (
                f"person {changed}",
                world._replace(settings=changed, changes=world.changes[1:], changed=changed, tasks=tasks),
            )
        for number, task in enumerate(world.tasks):
            here = world
            if world.switches is not None:
                interrupts = world.running not in (-1, number) and world.tasks[world.running].phase not in RESTS
                if interrupts and not world.switches:
                    continue
                here = world._replace(running=number, switches=world.switches - interrupts)
            if task.phase == WAITS:
                yield f"{number} begins", _with(here, number, self._task(number, SETUP, 1))
            elif task.phase == WORKS:
                yield f"{number} ends", _with(here, number, self._task(number, TEARDOWN, task.tries + 1))
                if self.vanishes and world.deaths:
                    gone = here._replace(deaths=here.deaths - 1)
                    yield f"{number} vanishes", _with(gone, number, Task(VANISHED, task.tries))
            elif task.phase in (SETUP, TEARDOWN):
                step = _step(task)
                yield f"{number} {_words(step)}", self._done(here, number, task, step)
                if world.deaths:
                    yield from self._deaths(here._replace(deaths=here.deaths - 1), number, task)

    def _deaths(self, world: World, number: int, task: Task) -> Iterator[tuple[str, World]]:
        phases = (SETUP, TEARDOWN) if task.phase == SETUP else (TEARDOWN,)
        for phase in phases:
            yield f"{number} dies, then {phase}", _with(world, number, self._task(number, phase, task.tries + 1))
        if self.vanishes:
            yield f"{number} dies and vanishes", _with(world, number, Task(DIED, task.tries))

    def _done(self, world: World, number: int, task: Task, step: Any) -> World:
        """Carry out a step, and those behind it that touch nothing."""
        world, result = self._carried_out(world, number, step)
        task = self._tell(number, task, result)._replace(is_behind=world.tasks[number].is_behind)
        following = _step(task)
        while isinstance(following, KeepNote | IsOver):
            told = world.tasks[_number(following.owner)].phase in ENDED if isinstance(following, IsOver) else None
            task = self._tell(number, task, told)
            following = _step(task)
        if isinstance(following, Outcome | None):
            task = Task(WORKS if task.phase == SETUP else GONE, task.tries)
        return _with(world, number, task)

    def _carried_out(self, world: World, number: int, step: Any) -> tuple[World, Any]:
        task = world.tasks[number]
        match step:
            case Put(flag=flag):
                assert parse_key(flag.key) == flag
                return world._replace(flags=world.flags | {flag.key}), None
            case Remove(flag=flag):
                return world._replace(flags=world.flags - {flag.key}), None
            case ListFlags():
                return world, world.flags
            case ReadSettings():
                return _with(world, number, task._replace(is_behind=False)), world.settings
            case WriteSettings(settings=written):
                self.counts["writes"] += 1
                self.counts["writes over a person's change"] += task.is_behind
                return world._replace(settings=written, is_lost=world.is_lost or task.is_behind), None
        raise AssertionError(step)

    def _task(self, number: int, phase: str, tries: int) -> Task:
        return Task(phase, tries, self._remember(number, phase, tries, ()))

    def _tell(self, number: int, task: Task, result: Any) -> Task:
        key = task.memory, result
        if key not in self._told:
            assert task.memory is not None
            self._told[key] = self._remember(number, task.phase, task.tries, (*task.memory.told, result))
        return task._replace(memory=self._told[key])

    def _remember(self, number: int, phase: str, tries: int, told: tuple[Any, ...]) -> Memory:
        me = holder(number, f"{phase}{tries}")
        steps = self.join(me, WANTS[number % len(WANTS)]) if phase == SETUP else self.leave([me.holder], me)
        step, knows = replay(steps, told)
        return self._memories.setdefault((number, phase, tries, step, knows), Memory(told, step))

    def _check(self, world: World, way: tuple[Any, ...]) -> None:
        phases = [task.phase for task in world.tasks]
        is_on = world.settings.enabled
        if WORKS in phases and not is_on and world.changed is None:
            self.counts["off for a moment while a pipeline works"] += 1
        if not all(phase in RESTS for phase in phases) or world.changed is not None:
            pass
        elif WORKS in phases:
            working = [WANTS[number] for number, phase in enumerate(phases) if phase == WORKS]
            served = combine(FOUND, working)
            if DIED in phases:
                # Its last write may have been a late one, and nobody has come to correct it.
                self.counts["off until a pipeline comes or leaves"] += not is_on
            elif VANISHED in phases:
                self._expect(is_on, "off while a pipeline works", way)
            else:
                self._expect(world.settings == served, f"{world.settings} does not serve {working}", way)
        if all(phase in ENDED for phase in phases):
            self._check_end(world, way)

    def _check_end(self, world: World, way: tuple[Any, ...]) -> None:
        self.counts["ends"] += 1
        if world.deaths < self.start.deaths:
            world = self._next_pipeline(world)
        else:
            self._expect(not world.flags, f"left: {sorted(world.flags)}", way)
        self._expect(not world.flags, f"left after the next pipeline: {sorted(world.flags)}", way)
        expected = FOUND if world.changed is None else world.changed
        if world.is_lost:
            self.counts["ends with a lost change"] += 1
        else:
            self._expect(world.settings == expected, f"{world.settings} instead of {expected}", way)

    def _next_pipeline(self, world: World) -> World:
        """Run one more pipeline, alone, which takes down what the others left."""
        number = len(world.tasks)
        world = world._replace(tasks=(*world.tasks, self._task(number, SETUP, 1)))
        while world.tasks[number].phase != GONE:
            task = world.tasks[number]
            if task.phase == WORKS:
                task = self._task(number, TEARDOWN, 2)
            world = self._done(world, number, task, _step(task))
        return world

    def _expect(self, is_right: bool, text: str, way: tuple[Any, ...]) -> None:
        if not is_right:
            words = []
            while way:
                what, way = way
                words.append(what)
            self.wrong.append((text, words[::-1]))


def holder(number: int, try_id: str) -> Holder:
    return Holder(account="account", holder=str(number), try_id=try_id)


def _step(task: Task) -> Any:
    assert task.memory is not None
    return task.memory.step


def _number(owner: Holder) -> int:
    return int(owner.holder)


def _with(world: World, number: int, task: Task) -> World:
    return world._replace(tasks=(*world.tasks[:number], task, *world.tasks[number + 1 :]))


def _words(step: Any) -> str:
    match step:
        case Put(flag=flag) | Remove(flag=flag):
            return f"{type(step).__name__} {flag.key.removeprefix('videodb/recharge/account/')}"
    return str(step)
