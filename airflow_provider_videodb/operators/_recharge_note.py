"""
Keeps the settings that an ``AutoRechargeOperator`` found, until they are restored.

The note is an Airflow Variable. The task that restores cannot read the state store of another task, and Airflow deletes
an XCom when the next try starts. A Variable outlives a retry and a clear, and every task of the DAG run can read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBResponseError, VideoDBTryOverError
from airflow_provider_videodb.purchases.variables import read_variable, variable_key, write_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk.types import Logger

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RechargeNote:
    """
    What one task instance is about to change.

    :param videodb_conn_id: the connection of the account.
    :param before: the settings before the first write in this DAG run.
    :param after: the settings that the task asks VideoDB for.
    """

    videodb_conn_id: str
    before: AutoRecharge
    after: AutoRecharge


def note_key(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """Return the name of a task instance's Variable."""
    return variable_key("videodb_auto_recharge", dag_id, run_id, task_id, str(-1 if map_index is None else map_index))


def load_note(key: str) -> RechargeNote | None:
    """
    Read a note; ``None`` if there is none.

    :raises VideoDBRecordUnreadableError: if Airflow cannot read its Variables.
    :raises VideoDBConfigError: if the Variable was overwritten with something else.
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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, VideoDBResponseError):
        raise VideoDBConfigError(
            f"Airflow Variable {key!r} was overwritten, so the settings of an AutoRechargeOperator are lost. Automatic "
            "recharge may still be on. Nothing was sent. Next step: set automatic recharge in VideoDB's console, "
            "delete the Variable, then clear this task."
        ) from None


def load_note_of_pair(
    dag_id: str, run_id: str, setup_task_id: str, map_index: int | None
) -> tuple[str, RechargeNote | None]:
    """
    Read the note of the setup task; return its key as well.

    :param map_index: of the task that restores. In a mapped task group, the setup task has the same index. Otherwise it
        has none.
    """
    key = note_key(dag_id, run_id, setup_task_id, map_index)
    note = load_note(key)
    if note is None and map_index not in (None, -1):
        key = note_key(dag_id, run_id, setup_task_id, -1)
        note = load_note(key)
    return key, note


def save_note(key: str, note: RechargeNote) -> None:
    """Write a note; once this returns, Airflow has it."""
    kept: dict[str, Any] = {
        "format": _FORMAT,
        "videodb_conn_id": note.videodb_conn_id,
        "before": _as_texts(note.before),
        "after": _as_texts(note.after),
    }
    write_variable(key, json.dumps(kept))


def warn_of_change(log: Logger, settings: AutoRecharge, *, then: str = "") -> None:
    """
    Log that somebody else changed the settings.

    :param settings: as they are now.
    :param then: what this pipeline does about it.
    """
    log.warning("Somebody else changed automatic recharge meanwhile.")
    log.warning("It is now %s.", describe_settings(settings))
    if then:
        log.warning("%s", then)


def describe_settings(settings: AutoRecharge) -> str:
    """Describe settings: ``on (threshold 20, amount 100 credits)``."""
    state = "on" if settings.enabled else "off"
    if settings.threshold is None or settings.amount is None:
        return state
    return f"{state} (threshold {settings.threshold}, amount {settings.amount} credits)"


def describe_note(note: RechargeNote | None, verb: str) -> tuple[str, ...]:
    """Describe the settings for an error, now and before."""
    if note is None:
        return ()
    return (
        f"Automatic recharge {verb} {describe_settings(note.after)}.",
        f"This DAG run found it {describe_settings(note.before)}.",
    )


def undone_error() -> VideoDBTryOverError:
    """Return the error for a write after the teardown."""
    return VideoDBTryOverError(
        "Another task of this DAG run restored automatic recharge before this task wrote its settings. A person had "
        "marked or cleared this task. The settings of this task were undone. Next step: clear this task to set them "
        "again."
    )


def _as_texts(settings: AutoRecharge) -> Mapping[str, Any]:
    """Return the JSON form with figures as text, because JSON numbers round long ones."""
    figures = {"threshold": settings.threshold, "amount": settings.amount}
    return {"enabled": settings.enabled} | {
        name: None if figure is None else str(figure) for name, figure in figures.items()
    }
