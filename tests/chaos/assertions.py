"""What a distributed Airflow has to keep while it is hurt, judged from the evidence alone."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from dev.demo.checks import Promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tests.chaos.evidence import Account, Evidence, Outage, TriggererKill, Window, WorkerKill

OUTAGE_SECONDS = 30
#: A poll is sent every interval, but the way to VideoDB is longer one time than another.
SURE_PART_OF_INTERVAL = 0.9
NEVER = "it never happened"


def verdict(evidence: Evidence) -> Iterator[Promise]:
    """Judge each promise; what was not seen is not kept."""
    yield _worker_killed(evidence.worker_kill)
    yield _away(evidence.outage)
    yield _triggerer_killed(evidence.triggerer_kill)
    yield _succeeded(evidence)
    yield from [_paid_once(account) for account in evidence.accounts] or [_not_seen("one purchase paid per top-up")]
    yield from [_polled(window) for window in evidence.windows] or [_not_seen("few requests per interval and stream")]
    yield _on_loopback(evidence)


def _worker_killed(kill: WorkerKill | None) -> Promise:
    kept = kill is not None and kill.lost_answers > 0
    seen = NEVER
    if kill is not None:
        seen = f"{kill.tasks} tasks ran on it; {kill.lost_answers} purchases were made and their answers lost"
    return Promise(kept, "a worker was killed while it bought", seen)


def _away(outage: Outage | None) -> Promise:
    kept = outage is not None and outage.seconds >= OUTAGE_SECONDS and outage.waiting > 0 and outage.answered == 0
    seen = NEVER
    if outage is not None:
        seen = f"{outage.seconds:.1f} s, while {outage.waiting} tasks waited; {outage.answered} calls were answered"
    return Promise(kept, f"VideoDB was away for {OUTAGE_SECONDS} s", seen)


def _triggerer_killed(kill: TriggererKill | None) -> Promise:
    kept = kill is not None and 0 < kill.waited == kill.taken_over
    seen = NEVER
    if kill is not None:
        seen = f"{kill.waited} tasks waited on it; {kill.taken_over} of them went on in the other"
    return Promise(kept, "a triggerer was killed under waiting tasks", seen)


def _succeeded(evidence: Evidence) -> Promise:
    states = Counter(str(task.state) for task in evidence.ended)
    found = Counter(task.task_id for task in evidence.ended)
    again = sum(task.tries > 1 for task in evidence.ended)
    kept = set(states) == {"success"} and found == Counter(evidence.expected)
    seen = ", ".join(f"{count} {state}" for state, count in states.most_common()) or "no tasks"
    expected = sum(evidence.expected.values())
    return Promise(kept, "every task succeeded", f"{seen}, of {expected}; {again} took more than one try")


def _paid_once(account: Account) -> Promise:
    kept = len(account.reported) > 0 and sorted(account.paid) == sorted(name or "" for name in account.reported)
    return Promise(
        kept,
        f"account {account.name}: one purchase paid per top-up",
        f"{len(account.reported)} top-ups name {len(set(account.reported) - {None})} checkouts, "
        f"{len(account.paid)} are paid; {account.unpaid} that nobody has the link of are not",
    )


def _polled(window: Window) -> Promise:
    sure = timedelta(seconds=window.interval * SURE_PART_OF_INTERVAL)
    most = {stream: _most_within(sure, arrivals) for stream, arrivals in window.calls.items()}
    looked = [stream for stream, count in most.items() if count > 0]
    kept = (
        window.started == 0
        and len(looked) == len(most) > 0
        and max(most.values()) <= window.triggerers
        and window.seconds >= window.interval
    )
    calls = sum(len(arrivals) for arrivals in window.calls.values())
    intervals = window.seconds / window.interval
    return Promise(
        kept,
        f"at most {window.triggerers} requests per interval and stream, of {_triggerers(window.triggerers)}",
        f"{intervals:.1f} intervals of {window.interval:g} s in which {window.started} tasks ran; {calls} requests in "
        f"{len(looked)} of {len(most)} streams, at most {max(most.values(), default=0)} per interval and stream",
    )


def _on_loopback(evidence: Evidence) -> Promise:
    kept = set(evidence.listening) == {"127.0.0.1"}
    return Promise(kept, "nothing listens beyond this machine", ", ".join(sorted(evidence.listening)) or "nothing does")


def _not_seen(promise: str) -> Promise:
    return Promise(kept=False, promise=promise, evidence=NEVER)


def _most_within(span: timedelta, arrivals: Sequence[datetime]) -> int:
    """Return the largest number of arrivals in any such span of time."""
    ordered = sorted(arrivals)
    return max((sum(first <= other < first + span for other in ordered) for first in ordered), default=0)


def _triggerers(count: int) -> str:
    return "one triggerer" if count == 1 else f"{count} triggerers"
