"""All measurements of a plan."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.benchmarks.accounts import measure_accounts
from dev.benchmarks.contenders import (
    HTTP_TRIGGER,
    IDLE_TRIGGER,
    OUR_TRIGGER,
    OURS,
    OURS_WITH_COLLECTOR,
    SHARED_STREAM,
)
from dev.benchmarks.handovers import measure_handovers
from dev.benchmarks.holding import measure_holding
from dev.benchmarks.imports import measure_imports
from dev.benchmarks.page import Results
from dev.benchmarks.waiting import REQUESTS, WAKING, measure_waiting
from dev.benchmarks.workers import measure_workers
from dev.demo.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dev.benchmarks.contenders import Contender

#: This many tasks leave the machine idle, so the contenders can run at the same time.
_FEW_TASKS = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure, in full by default."""

    #: Numbers of waiting tasks for which we only count requests, and for which we measure everything.
    counted: tuple[int, ...] = (1, 100)
    tasks: tuple[int, ...] = (1000, 10_000)
    #: Numbers of gates that wait to hold credits.
    holding: tuple[int, ...] = (100, 1000)
    #: Seconds between polls, and for how many intervals requests and CPU are measured.
    interval: float = 5
    intervals: int = 4
    #: Accounts that respond after `latency` seconds, and the tasks that wait for them.
    accounts: int = 100
    account_tasks: int = 10_000
    account_interval: float = 30
    latency: float = 2
    #: How often each import is timed.
    import_runs: int = 5
    #: Pipelines that want the same credits.
    pipelines: int = 6
    #: Also measure workers, which takes a whole Airflow.
    live: bool = True


#: Shows that everything runs. Its figures mean nothing.
QUICK = Plan(
    counted=(),
    tasks=(10,),
    holding=(10,),
    interval=0.5,
    intervals=2,
    accounts=3,
    account_tasks=10,
    account_interval=1,
    latency=0.2,
    import_runs=1,
    live=False,
)


def measure(plan: Plan, home: Path) -> Results:
    """Measure all contenders."""
    results = Results()
    for tasks in (*plan.counted, *plan.tasks):
        _measure_waiting(plan, home, tasks, results)
    _measure_holding(plan, home, results)
    _measure_accounts(plan, home, results)
    if plan.live:
        say("1 task waits in a real Airflow: ours, HttpSensor, PythonSensor ...")
        for contender, figures in measure_workers(home):
            results.add(contender, 1, figures)
        say(f"{plan.pipelines} pipelines want the same credits in a real Airflow ...")
        for contender, figures in measure_handovers(home, runs=plan.pipelines):
            results.add(contender, plan.pipelines, figures)
    say("Importing ...")
    for contender, figures in measure_imports(plan.import_runs).items():
        results.add(contender, 0, figures)
    return results


def _measure_waiting(plan: Plan, home: Path, tasks: int, results: Results) -> None:
    def wait(contender: Contender) -> dict[str, float]:
        return measure_waiting(contender, tasks=tasks, interval=plan.interval, intervals=plan.intervals, logs=home)

    contenders = [OUR_TRIGGER, HTTP_TRIGGER, SHARED_STREAM]
    if tasks in plan.tasks:
        contenders += [IDLE_TRIGGER, OURS_WITH_COLLECTOR]
    for contender, figures in _run_each(wait, contenders, tasks):
        if tasks in plan.counted:
            results.add(contender.name, tasks, {REQUESTS: figures[REQUESTS]})
        elif contender.collector:
            results.add(OURS, tasks, {f"{WAKING}, without gc.disable()": figures[WAKING]})
        else:
            results.add(contender.name, tasks, figures)


def _measure_holding(plan: Plan, home: Path, results: Results) -> None:
    for tasks in plan.holding:
        say(f"{tasks:,} gates wait to hold credits ...")
        results.add(
            OURS, tasks, measure_holding(tasks=tasks, interval=plan.interval, intervals=plan.intervals, logs=home)
        )


def _measure_accounts(plan: Plan, home: Path, results: Results) -> None:
    def poll(contender: Contender) -> dict[str, float]:
        return measure_accounts(
            contender,
            accounts=plan.accounts,
            tasks=plan.account_tasks,
            latency=plan.latency,
            interval=plan.account_interval,
            logs=home,
        )

    for contender, figures in _run_each(poll, (OUR_TRIGGER, HTTP_TRIGGER, SHARED_STREAM), plan.account_tasks):
        results.add(contender.name, plan.account_tasks, figures)


def _run_each(
    run: Callable[[Contender], dict[str, float]], contenders: Sequence[Contender], tasks: int
) -> list[tuple[Contender, dict[str, float]]]:
    say(f"{tasks:,} tasks wait: {', '.join(contender.name for contender in contenders)} ...")
    with ThreadPoolExecutor(len(contenders) if tasks <= _FEW_TASKS else 1) as pool:
        return list(zip(contenders, pool.map(run, contenders), strict=True))
