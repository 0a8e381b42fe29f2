"""All measurements of a plan, in one run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dev.benchmarks.accounts import measure_accounts
from dev.benchmarks.contenders import HTTP, IDLE, OURS, SHARED
from dev.benchmarks.imports import measure_imports
from dev.benchmarks.plan import Plan, Results
from dev.benchmarks.waiting import measure_requests, measure_waiting
from dev.benchmarks.workers import measure_workers
from dev.demo.console import say

if TYPE_CHECKING:
    from pathlib import Path

    from dev.benchmarks.accounts import Accounts
    from dev.benchmarks.contenders import Contender
    from dev.benchmarks.waiting import Waiting


def measure(plan: Plan, home: Path) -> Results:
    """Measure one contender after the other, so that none disturbs another where it would matter."""
    results = Results()
    say("Importing ...")
    results.imports = measure_imports(plan.import_runs)
    _count_requests(plan, home, results)
    _wait(plan, home, results)
    _ask_accounts(plan, home, results)
    if plan.live:
        say("Running the same wait in four ways in a real Airflow ...")
        results.workers = measure_workers(home)
    return results


def _count_requests(plan: Plan, home: Path, results: Results) -> None:
    which = [(contender, tasks) for tasks in plan.counted for contender in (OURS, HTTP, SHARED)]
    say(f"Counting requests of {_numbers(plan.counted)} waiting tasks ...")

    def count(one: tuple[Contender, int]) -> float:
        contender, tasks = one
        return measure_requests(contender, tasks=tasks, interval=plan.interval, intervals=plan.intervals, logs=home)

    # Side by side: so few tasks leave the machine idle.
    with ThreadPoolExecutor(len(which)) as pool:
        for (contender, tasks), requests in zip(which, pool.map(count, which), strict=True):
            results.requests[contender.name, tasks] = requests


def _wait(plan: Plan, home: Path, results: Results) -> None:
    def wait(one: tuple[Contender, int]) -> Waiting:
        contender, tasks = one
        say(f"{tasks:,} tasks wait: {contender.name} ...")
        return measure_waiting(contender, tasks=tasks, interval=plan.interval, intervals=plan.intervals, logs=home)

    which = [(contender, tasks) for tasks in (plan.small, plan.large) for contender in (OURS, HTTP, SHARED, IDLE)]
    with ThreadPoolExecutor(plan.at_once) as pool:
        for (contender, tasks), figures in zip(which, pool.map(wait, which), strict=True):
            results.waiting[contender.name, tasks] = figures
            results.requests[contender.name, tasks] = figures.requests_per_interval


def _ask_accounts(plan: Plan, home: Path, results: Results) -> None:
    def ask(contender: Contender) -> Accounts:
        return measure_accounts(
            contender,
            accounts=plan.accounts,
            tasks=plan.account_tasks,
            latency=plan.latency,
            interval=plan.account_interval,
            intervals=plan.account_intervals,
            logs=home,
        )

    say(f"{plan.account_tasks:,} tasks wait for {plan.accounts} slow accounts: ours, and beside it shared streams ...")
    # These two leave a core each idle most of the time; HttpSensor does not.
    with ThreadPoolExecutor(2) as pool:
        results.accounts[OURS.name], results.accounts[SHARED.name] = pool.map(ask, (OURS, SHARED))
    say(f"{plan.account_tasks:,} tasks wait for {plan.accounts} slow accounts: HttpSensor ...")
    results.accounts[HTTP.name] = ask(HTTP)


def _numbers(numbers: tuple[int, ...]) -> str:
    return " and ".join(f"{number:,}" for number in numbers)
