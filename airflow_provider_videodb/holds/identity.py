"""The value of a flag, which names its holder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_videodb.holds.rules.records import holder_of

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """
    The task instance behind a flag.

    :param settlement_ms: how long its credits count after their release, in milliseconds.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    settlement_ms: int

    @classmethod
    def of(cls, ti: Any, *, settlement_ms: int) -> Identity:
        """Return the identity of a task instance of Airflow."""
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            try_number=ti.try_number,
            settlement_ms=settlement_ms,
        )

    @classmethod
    def from_text(cls, text: str | None) -> Identity | None:
        """
        Read the value of a flag. Fields of a newer version are ignored.

        :return: ``None`` if it cannot be read, because it was overwritten.
        """
        try:
            fields: dict[str, Any] = dict(json.loads(text or ""))
            return cls(
                dag_id=str(fields["dag_id"]),
                run_id=str(fields["run_id"]),
                task_id=str(fields["task_id"]),
                map_index=int(fields["map_index"]),
                try_number=int(fields["try_number"]),
                # An edited value must not end the settlement time before the release.
                settlement_ms=max(0, int(fields["settlement_ms"])),
            )
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None

    @property
    def holder(self) -> str:
        """The holder's part of a key."""
        return holder_of(self.dag_id, self.run_id, self.task_id, self.map_index)

    def to_text(self, **more: Any) -> str:
        """Return the value of a flag."""
        return json.dumps({"format": _FORMAT, **asdict(self), **more})

    def __str__(self) -> str:
        """Return the text for people: ``DAG a, run b, task c``."""
        place = "" if self.map_index < 0 else f" [{self.map_index}]"
        return f"DAG {self.dag_id}, run {self.run_id}, task {self.task_id}{place}"
