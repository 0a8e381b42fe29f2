"""What the demo checks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dev.demo.console import count, number
from dev.demo.environment import CREDITS_AT_START, CREDITS_PER_VIDEO
from dev.demo.observer import GATE_TASK, stretches, when, worker_seconds_during

if TYPE_CHECKING:
    from pathlib import Path

    from dev.airflow.api import DagRun
    from dev.demo.environment import Environment
    from dev.demo.observer import Evidence

INDEX_TASK = "index_video"


@dataclass(frozen=True)
class Check:
    """
    One check of the finished run.

    :param what: what must hold.
    :param seen: what was found.
    """

    passed: bool
    what: str
    seen: str


def check_run(env: Environment, run: DagRun, evidence: Evidence) -> list[Check]:
    """Check the run while Airflow is still up."""
    return [
        _succeeded(run),
        _paid_once(env),
        _link_on_page(evidence),
        _no_worker_held(evidence),
        _not_started_short(env, run, evidence),
        _indexed_by_sdk(env, run),
        _credits_add_up(env, run),
    ]


def check_key(env: Environment) -> Check:
    """Search everything that Airflow wrote for the API key."""
    files = [path for path in env.airflow.home.rglob("*") if path.is_file()]
    leaks = [path for path in files if _contains(path, env.emulator.api_key)]
    names = ", ".join(str(path.relative_to(env.airflow.home)) for path in leaks)
    return Check(
        not leaks,
        "the API key is in no log and not in Airflow's database",
        f"found in {names}" if leaks else f"{count(len(files), 'file')} searched",
    )


def _succeeded(run: DagRun) -> Check:
    state = run.state()
    return Check(state == "success", "the run succeeded", f"its state is {state}")


def _paid_once(env: Environment) -> Check:
    checkouts = env.emulator.checkouts()
    posts = env.emulator.calls("POST", "/billing/topup")
    states = ", ".join(f"{checkout.amount} USD, {checkout.status}" for checkout in checkouts)
    passed = len(checkouts) == len(posts) == 1 and checkouts[0].status == "completed"
    seen = f"{count(len(checkouts), 'checkout')} ({states}), {count(len(posts), 'POST')}"
    return Check(passed, "payment was requested once", seen)


def _link_on_page(evidence: Evidence) -> Check:
    passed = evidence.payment_link is not None and evidence.payment_link in evidence.links_while_waiting
    seen = ", ".join(sorted(evidence.links_while_waiting)) or "no link"
    return Check(passed, "the task's page showed the payment link during the wait", seen)


def _no_worker_held(evidence: Evidence) -> Check:
    everything = stretches(evidence.events)
    waits = [stretch for stretch in everything if stretch.task_id == GATE_TASK and stretch.state == "deferred"]
    waited = sum(wait.seconds for wait in waits)
    worked = worker_seconds_during(waits, everything)
    polls, busy = evidence.polls_while_waiting, evidence.busy_while_waiting
    return Check(
        waited > 0 and worked == 0 and polls > 0 and busy == 0,
        "no worker was held during the wait",
        f"{number(worked)} worker seconds in {waited:.1f} s by {evidence.events_source}; "
        f"a worker slot or process was in use {busy} of {polls} times",
    )


def _not_started_short(env: Environment, run: DagRun, evidence: Evidence) -> Check:
    what = "indexing did not start before the credits were there"
    starts = [when(event) for event in evidence.events if event["task_id"] == INDEX_TASK]
    paid = [checkout.paid_at for checkout in env.emulator.checkouts() if checkout.paid_at]
    if not starts or not paid:
        return Check(passed=False, what=what, seen=f"{count(len(starts), 'start')}, {count(len(paid), 'payment')}")
    needed = Decimal(str(run.task("enough_credits")["rendered_fields"]["threshold"]))
    balance = Decimal(str((run.xcom("enough_credits") or {}).get("credit_balance", 0)))
    rejected = [call for call in env.emulator.calls() if call.status == 402]
    delay = (min(starts) - min(paid)).total_seconds()
    return Check(
        delay > 0 and balance >= needed and not rejected,
        what,
        f"started {delay:.1f} s after the payment, with {number(balance)} credits where {number(needed)} are needed; "
        f"VideoDB rejected {count(len(rejected), 'call')}",
    )


def _indexed_by_sdk(env: Environment, run: DagRun) -> Check:
    calls = env.emulator.calls("POST", "/video/*/index", accepted=True)
    clients = {call.headers.get("x-videodb-client", "unknown") for call in calls}
    tasks = [task for task in run.tasks() if task["task_id"] == INDEX_TASK]
    ids = {run.xcom(INDEX_TASK, map_index=task["map_index"]) for task in tasks}
    by_sdk = all(client.startswith("videodb-python") for client in clients)
    passed = bool(tasks) and len(calls) == len(ids) == len(tasks) and by_sdk
    seen = f"{count(len(calls), 'video')}, by {', '.join(clients) or 'nobody'}"
    return Check(passed, "VideoDB's SDK indexed the videos", seen)


def _credits_add_up(env: Environment, run: DagRun) -> Check:
    bought = sum(checkout.credits for checkout in env.emulator.checkouts() if checkout.status == "completed")
    spent = CREDITS_PER_VIDEO * len([task for task in run.tasks() if task["task_id"] == INDEX_TASK])
    left = env.emulator.balance
    passed = spent > 0 and CREDITS_AT_START + bought - spent == left
    return Check(passed, "the credits add up", f"{CREDITS_AT_START} + {number(bought)} - {spent} = {number(left)}")


def _contains(path: Path, secret: str) -> bool:
    content = path.read_bytes()
    return secret.encode() in content or json.dumps(secret).encode() in content
