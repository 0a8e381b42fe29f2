"""The lines of the table: each figure beside those it is compared with, and whether it is what was to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dev.benchmarks import workers
from dev.benchmarks.contenders import HTTP, IDLE, OURS, SHARED
from dev.benchmarks.imports import BOTH, SENSOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.benchmarks.plan import Plan, Results
    from dev.benchmarks.waiting import Waiting
    from dev.benchmarks.workers import Occupation

PYTHON = "PythonSensor"
COLUMNS = (OURS.name, HTTP.name, SHARED.name, IDLE.name, PYTHON)

#: Ours may use this part of the CPU time of `HttpSensor`.
CPU_SHARE = 1 / 20
#: Airflow's own warning threshold, in seconds.
BLOCKED = 0.2
#: Seconds beyond an interval until the last task is awake.
WAKE_UP = 1.0
#: How far the number of requests in a window may be off by when it begins.
_ONE_REQUEST = 1.01


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One line.

    :param cells: what to print, by column.
    :param goal: what was to be reached; empty where the line only explains another.
    :param reached: whether it was; ``None`` if there is no goal or no figure.
    """

    measure: str
    at: str
    cells: Mapping[str, str] = field(default_factory=dict)
    goal: str = ""
    reached: bool | None = None


def rows(plan: Plan, results: Results) -> list[Row]:
    """Return all lines of the table."""
    return [
        *_requests(plan, results),
        *_cpu(plan, results),
        *_memory(plan, results),
        *_wake_up(plan, results),
        *_blocked(plan, results),
        _accounts(plan, results),
        _workers(results),
        *(_imports(results, what) for what in (SENSOR, BOTH)),
    ]


def _requests(plan: Plan, results: Results) -> list[Row]:
    poked = results.workers.get(workers.PYTHON)
    found = []
    for tasks in (*plan.counted, plan.small, plan.large):
        cells = {
            name: f"{seen:,.2f}" for (name, at), seen in results.requests.items() if at == tasks and name != IDLE.name
        }
        if poked is not None:
            cells[PYTHON] = f"{tasks * poked.requests / poked.times:,.2f}"
        ours = results.requests[OURS.name, tasks]
        found.append(
            Row(
                measure="requests per poll interval, one account, one triggerer",
                at=f"{tasks:,}",
                cells=cells,
                goal="1",
                reached=ours <= _ONE_REQUEST,
            )
        )
    return found


def _cpu(plan: Plan, results: Results) -> list[Row]:
    found = []
    for tasks in (plan.small, plan.large):
        seen = {name: results.waiting[name, tasks].cpu_per_minute for name in COLUMNS if name != PYTHON}
        share = seen[OURS.name] / seen[HTTP.name]
        found.append(
            Row(
                measure="triggerer CPU seconds per minute of waiting",
                at=f"{tasks:,}",
                cells={name: f"{cpu:.2f}" for name, cpu in seen.items()},
                goal=f"1/{1 / CPU_SHARE:.0f} of HttpSensor's: {seen[HTTP.name] * CPU_SHARE:.2f}"
                if tasks == plan.small
                else f"(is 1/{1 / share:.0f} of HttpSensor's)",
                reached=share <= CPU_SHARE if tasks == plan.small else None,
            )
        )
    return found


def _memory(plan: Plan, results: Results) -> list[Row]:
    found = []
    for tasks in (plan.small, plan.large):
        seen = {name: results.waiting[name, tasks].bytes_per_task or 0.0 for name in COLUMNS if name != PYTHON}
        found.append(
            Row(
                measure="memory per waiting task in the triggerer, KiB",
                at=f"{tasks:,}",
                cells={name: f"{memory / 1024:.1f}" for name, memory in seen.items()},
                goal="no more than HttpSensor's",
                reached=seen[OURS.name] <= seen[HTTP.name],
            )
        )
    return found


def _wake_up(plan: Plan, results: Results) -> list[Row]:
    goal = plan.interval + WAKE_UP
    found = []
    for tasks in (plan.small, plan.large):
        ours = results.waiting[OURS.name, tasks].woken
        found.append(
            Row(
                measure="wake-up: credits visible → last event emitted, seconds",
                at=f"{tasks:,}",
                cells=_each(results, tasks, lambda seen: _seconds(seen.woken)),
                goal=f"one interval + {WAKE_UP:.0f} s: {goal:.1f}",
                reached=ours is not None and ours <= goal,
            )
        )
        found.append(
            Row(
                measure="the same → last event with the supervisor",
                at=f"{tasks:,}",
                cells=_each(results, tasks, lambda seen: _seconds(seen.woken_at_supervisor)),
            )
        )
    return found


def _blocked(plan: Plan, results: Results) -> list[Row]:
    details: dict[str, Callable[[Waiting], float]] = {
        "of it: while tasks wait": lambda seen: seen.blocked_waiting,
        "of it: while they wake up": lambda seen: seen.blocked_waking,
        "beside it: while they arrive, up to 1,000 in a message": lambda seen: seen.blocked_arriving,
        "as Airflow's watchdog times its 100 ms": lambda seen: seen.watchdog,
    }
    found = []
    for tasks in (plan.small, plan.large):
        found.append(
            Row(
                measure="event loop blocked, longest, ms",
                at=f"{tasks:,}",
                cells=_each(results, tasks, lambda seen: _milliseconds(seen.blocked)),
                goal=f"under {_milliseconds(BLOCKED)}",
                reached=results.waiting[OURS.name, tasks].blocked < BLOCKED,
            )
        )
        found += [
            Row(
                measure=name,
                at=f"{tasks:,}",
                cells=_each(results, tasks, lambda seen, figure=figure: _milliseconds(figure(seen))),  # type: ignore[misc]
            )
            for name, figure in details.items()
        ]
    return found


def _accounts(plan: Plan, results: Results) -> Row:
    return Row(
        measure=f"accounts polled in every interval, of {plan.accounts} (API answers in {plan.latency:g} s, interval "
        f"{plan.account_interval:g} s); longest time without a poll; requests per interval",
        at=f"{plan.account_tasks:,}",
        cells={
            name: f"{seen.every_interval}; {seen.longest:.1f} s; {seen.requests_per_interval:,.0f}"
            for name, seen in results.accounts.items()
        },
        goal=f"{plan.accounts}",
        reached=results.accounts[OURS.name].every_interval == plan.accounts,
    )


def _workers(results: Results) -> Row:
    measure = "worker seconds per wait of one hour (times a worker had the task)"
    goal = "0 with start_from_trigger and end_from_trigger; one start and one end without"
    if not results.workers:
        return Row(measure=measure, at="1", goal=goal)
    ours, without, http, python = (
        results.workers[dag] for dag in (workers.OURS, workers.WITHOUT_A_WORKER, workers.HTTP, workers.PYTHON)
    )
    return Row(
        measure=measure,
        at="1",
        cells={
            OURS.name: f"{_occupied(without)} without a worker; {_occupied(ours)} by default",
            HTTP.name: _occupied(http),
            PYTHON: f"{python.seconds_per_hour_of_poking:.1f} ({python.times_per_hour_of_poking})",
        },
        goal=goal,
        reached=without.times == 0 and ours.times == 2,
    )


def _occupied(seen: Occupation) -> str:
    return f"{seen.seconds:.1f} ({seen.times})"


def _imports(results: Results, what: str) -> Row:
    seen = {name: cost for (name, imported), cost in results.imports.items() if imported == what}
    ours = seen.pop(OURS.name)
    return Row(
        measure=f"importing {what} in a DAG file: modules, milliseconds beyond `airflow.sdk`",
        at="-",
        cells={
            OURS.name: f"{ours.modules}, {ours.milliseconds:.1f}",
            **{name: f"{cost.modules}, {cost.milliseconds:.1f}" for name, cost in seen.items()},
        },
        goal="fewest; none of requests, fastapi, emulator",
        reached=all(ours.modules < cost.modules and ours.milliseconds < cost.milliseconds for cost in seen.values())
        and not ours.unwanted,
    )


def _each(results: Results, tasks: int, spell: Callable[[Waiting], str]) -> dict[str, str]:
    return {name: spell(results.waiting[name, tasks]) for name in COLUMNS if (name, tasks) in results.waiting}


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.2f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
