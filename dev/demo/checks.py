"""What the credit gate promises, each checked against what was seen from outside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dev.demo.console import number
from dev.demo.environment import CREDITS_AT_START, CREDITS_PER_VIDEO
from dev.demo.observer import GATE_TASK, stretches, when, worker_seconds_during

if TYPE_CHECKING:
    from pathlib import Path

    from dev.airflow.api import DagRun
    from dev.demo.environment import Stage
    from dev.demo.observer import Evidence

INDEX_TASK = "index_video"


@dataclass(frozen=True)
class Promise:
    """A promise, whether it was kept, and what shows it."""

    kept: bool
    promise: str
    evidence: str


def check_run(stage: Stage, run: DagRun, evidence: Evidence) -> list[Promise]:
    """Check what the run promises, while Airflow and the emulator can still be asked."""
    return [
        _finished(run),
        _asked_once(stage),
        _link_on_page(evidence),
        _no_worker(evidence),
        _not_started_short(stage, run, evidence),
        _indexed_by_sdk(stage, run),
        _credits_add_up(stage, run),
    ]


def check_key(stage: Stage) -> Promise:
    """Look for the API key in everything Airflow wrote, after its last line."""
    files = [path for path in stage.airflow.home.rglob("*") if path.is_file()]
    leaks = [path for path in files if _contains(path, stage.emulator.api_key)]
    names = ", ".join(str(path.relative_to(stage.airflow.home)) for path in leaks)
    return Promise(
        not leaks,
        "the API key is in no log and not in Airflow's database",
        f"found in {names}" if leaks else f"{len(files)} files searched",
    )


def _finished(run: DagRun) -> Promise:
    state = run.state()
    return Promise(state == "success", "the run succeeded", f"Airflow says {state}")


def _asked_once(stage: Stage) -> Promise:
    checkouts = stage.emulator.checkouts()
    requests = stage.emulator.calls("POST", "/billing/topup")
    states = ", ".join(f"${checkout.amount} {checkout.status}" for checkout in checkouts)
    kept = len(checkouts) == len(requests) == 1 and checkouts[0].status == "completed"
    return Promise(kept, "payment was asked for once", f"{len(checkouts)} checkout ({states}), {len(requests)} request")


def _link_on_page(evidence: Evidence) -> Promise:
    shown = evidence.link_on_page_while_deferred
    kept = shown is not None and shown == evidence.payment_link
    return Promise(kept, "the payment link was on the task's page while it waited", shown or "no link seen")


def _no_worker(evidence: Evidence) -> Promise:
    everything = stretches(evidence.events)
    waits = [stretch for stretch in everything if stretch.task_id == GATE_TASK and stretch.state == "deferred"]
    waited = sum(wait.seconds for wait in waits)
    worked = worker_seconds_during(waits, everything)
    looks, found = evidence.looks_while_waiting, evidence.workers_seen_while_waiting
    return Promise(
        waited > 0 and worked == 0 and looks > 0 and found == 0,
        "no worker was held while waiting",
        f"{number(worked)} worker seconds in {waited:.1f} s by Airflow's own log; "
        f"{looks} looks at worker slots and processes found {found} in use",
    )


def _not_started_short(stage: Stage, run: DagRun, evidence: Evidence) -> Promise:
    promise = "indexing never started short of credits"
    starts = [when(event) for event in evidence.events if event["task_id"] == INDEX_TASK]
    paid = [checkout.paid_at for checkout in stage.emulator.checkouts() if checkout.paid_at]
    if not starts or not paid:
        return Promise(kept=False, promise=promise, evidence=f"{len(starts)} starts, {len(paid)} payments")
    needed = Decimal(str(run.task("enough_credits")["rendered_fields"]["threshold"]))
    seen = Decimal(str((run.xcom("enough_credits") or {}).get("credit_balance", 0)))
    refused = [call for call in stage.emulator.calls() if call.status == 402]
    delay = (min(starts) - min(paid)).total_seconds()
    kept = delay > 0 and seen >= needed and not refused
    return Promise(
        kept,
        promise,
        f"started {delay:.1f} s after the payment, with {number(seen)} credits where {number(needed)} are needed; "
        f"{len(refused)} calls refused",
    )


def _indexed_by_sdk(stage: Stage, run: DagRun) -> Promise:
    calls = stage.emulator.calls("POST", "/video/*/index", accepted=True)
    clients = {call.headers.get("x-videodb-client", "unknown") for call in calls}
    tasks = [task for task in run.tasks() if task["task_id"] == INDEX_TASK]
    ids = {run.xcom(INDEX_TASK, map_index=task["map_index"]) for task in tasks}
    kept = bool(tasks) and len(calls) == len(ids) == len(tasks) and all(c.startswith("videodb-python") for c in clients)
    who = ", ".join(clients) or "nobody"
    return Promise(kept, "VideoDB's own SDK indexed the videos", f"{len(calls)} videos, by {who}")


def _credits_add_up(stage: Stage, run: DagRun) -> Promise:
    bought = sum(checkout.credits for checkout in stage.emulator.checkouts() if checkout.status == "completed")
    spent = CREDITS_PER_VIDEO * len([task for task in run.tasks() if task["task_id"] == INDEX_TASK])
    left = stage.emulator.balance
    kept = spent > 0 and CREDITS_AT_START + bought - spent == left
    return Promise(kept, "the credits add up", f"{CREDITS_AT_START} + {number(bought)} - {spent} = {number(left)}")


def _contains(path: Path, secret: str) -> bool:
    content = path.read_bytes()
    return secret.encode() in content or json.dumps(secret).encode() in content
