"""
What an AutoRechargeOperator found, kept in an Airflow Variable until it has been brought back.

A task's state store cannot be read by the task that brings the settings back, and an XCom is deleted when Airflow
starts the next try. A Variable outlives a retry and a clear, and every task of the DAG run can read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBResponseError
from airflow_provider_videodb.purchases.variables import delete_variable, read_variable, variable_key, write_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RechargeNote:
    """
    What one task instance is about to change.

    :param videodb_conn_id: the connection whose account it changes.
    :param before: the settings before its first write in this DAG run.
    :param after: the settings that it asks VideoDB for.
    """

    videodb_conn_id: str
    before: AutoRecharge
    after: AutoRecharge


def note_key(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """Return the name of the Variable of a task instance."""
    return variable_key("videodb_auto_recharge", dag_id, run_id, task_id, str(-1 if map_index is None else map_index))


def load_note(key: str) -> RechargeNote | None:
    """
    Return what is kept, ``None`` if nothing is.

    :raises VideoDBRecordUnreadableError: if Airflow could not tell.
    :raises VideoDBConfigError: if somebody changed the Variable into something else.
    """
    text = read_variable(key)
    if text is None:
        return None
    try:
        kept = json.loads(text)
        return RechargeNote(
            videodb_conn_id=str(kept["videodb_conn_id"]),
            before=AutoRecharge.from_api(kept["before"]),
            after=AutoRecharge.from_api(kept["after"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, VideoDBResponseError):
        raise VideoDBConfigError(
            f"The Airflow Variable {key!r} does not hold what an AutoRechargeOperator wrote there. Automatic recharge "
            "may still be on. Nothing was sent. Set it in VideoDB's console, delete the Variable, then clear this task."
        ) from None


def load_note_of_pair(
    dag_id: str, run_id: str, setup_task_id: str, map_index: int | None
) -> tuple[str, RechargeNote | None]:
    """
    Return the key and the note of the setup whose settings a task brings back, as :func:`load_note` does.

    :param map_index: of the task that brings back. The setup has the same one in a mapped task group, and none outside.
    """
    key = note_key(dag_id, run_id, setup_task_id, map_index)
    note = load_note(key)
    if note is None and map_index not in (None, -1):
        key = note_key(dag_id, run_id, setup_task_id, -1)
        note = load_note(key)
    return key, note


def save_note(key: str, note: RechargeNote) -> None:
    """Keep the note; when this returns, it is kept."""
    kept: dict[str, Any] = {
        "format": _FORMAT,
        "videodb_conn_id": note.videodb_conn_id,
        "before": _as_texts(note.before),
        "after": _as_texts(note.after),
    }
    write_variable(key, json.dumps(kept))


def delete_note(key: str) -> None:
    """Keep the note no longer."""
    delete_variable(key)


def in_words(settings: AutoRecharge) -> str:
    """Return settings as a person reads them: ``on (threshold 20, amount 100)``."""
    state = "on" if settings.enabled else "off"
    if settings.threshold is None or settings.amount is None:
        return state
    return f"{state} (threshold {settings.threshold}, amount {settings.amount})"


def found_in_words(note: RechargeNote) -> str:
    """Return what was found before the first write of the DAG run, as a person reads it."""
    return f"This DAG run found it {in_words(note.before)}."


def _as_texts(settings: AutoRecharge) -> Mapping[str, Any]:
    """Return the settings with figures as texts: a JSON number would round the longest ones."""
    figures = {"threshold": settings.threshold, "amount": settings.amount}
    return {"enabled": settings.enabled} | {
        name: None if figure is None else str(figure) for name, figure in figures.items()
    }
