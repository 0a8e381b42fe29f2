"""Airflow's Variables and its task state store, kept in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class Variables:
    """Airflow's Variables, which all tasks see."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any = None, *, deserialize_json: bool = False) -> Any:
        if key not in self.kept:
            return default
        return json.loads(self.kept[key]) if deserialize_json else self.kept[key]

    def set(self, key: str, value: Any, *, serialize_json: bool = False) -> None:
        self.kept[key] = json.dumps(value) if serialize_json else value

    def delete(self, key: str) -> None:
        del self.kept[key]


@dataclass
class Store:
    """The task state store of one task instance."""

    ends_with_run: bool = True
    kept: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        return self.kept.get(name)

    def set(self, name: str, value: Any) -> None:
        self.kept[name] = value

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)
