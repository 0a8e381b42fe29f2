"""What a run came to: how its tasks ended, and which purchases were paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.chaos.evidence import Account, Ended
from tests.chaos.scale import ACCOUNT_OF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.emulator.server import Emulator
    from dev.airflow.api import DagRun

PAID = "completed"


def ended(tasks: Sequence[Mapping[str, Any]]) -> list[Ended]:
    """Return how the task instances ended."""
    return [Ended(task_id=task["task_id"], state=task["state"], tries=task["try_number"]) for task in tasks]


def accounts(run: DagRun, tasks: Sequence[Mapping[str, Any]], emulators: Mapping[str, Emulator]) -> list[Account]:
    """Return what was bought on each account, by its top-ups and by VideoDB."""
    return [
        _account(name, emulator, [_reported(run, task) for task in tasks if ACCOUNT_OF.get(task["task_id"]) == name])
        for name, emulator in emulators.items()
    ]


def _account(name: str, emulator: Emulator, reported: list[str | None]) -> Account:
    checkouts = emulator.checkouts()
    paid = [checkout.id for checkout in checkouts if checkout.status == PAID]
    return Account(name=name, reported=reported, paid=paid, unpaid=len(checkouts) - len(paid))


def _reported(run: DagRun, task: Mapping[str, Any]) -> str | None:
    """Return the checkout that a top-up says is its own and paid."""
    result = run.xcom(task["task_id"], map_index=task["map_index"]) or {}
    checkout_id: str | None = result.get("checkout_id")
    return checkout_id if result.get("status") == PAID else None
