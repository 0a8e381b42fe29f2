"""Airflow's Variables and its task state store, kept in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import (
    DeleteVariable,
    ErrorResponse,
    GetVariable,
    OKResponse,
    PutVariable,
    VariableResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Variables:
    """
    Airflow's Variables, which all tasks see, as its API server serves them to a worker.

    :param failing: the response to a read, in place of the Variable.
    :param listing: the response to a listing, in place of the list.
    :param writing: the response to a write or a deletion, which then changes nothing.
    """

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.failing: ErrorType | Exception | None = None
        self.listing: Any = None
        self.writing: Any = None
        #: Whether a confirmed write is lost.
        self.loses_writes = False
        self.asked: list[Any] = []
        self.on_write: Callable[[str, str], object] = lambda _key, _value: None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put them where a task asks the API server."""
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", self, raising=False)

    def send(self, question: Any) -> Any:
        self.asked.append(question)
        match question:
            case GetVariable(key=key):
                return self._read(key)
            case PutVariable(key=key, value=value):
                response = _respond(self.writing, None)
                if self.writing is None and not self.loses_writes:
                    self.kept[key] = str(value)
                    self.on_write(key, str(value))
                return response
            case DeleteVariable(key=key):
                response = _respond(self.writing, OKResponse(ok=True))
                if self.writing is None:
                    self.kept.pop(key, None)
                return response
        # Below Airflow 3.3 there is no such question.
        assert type(question).__name__ == "GetVariableKeys", f"nobody asks this: {question!r}"
        return self._list(question)

    def _read(self, key: str) -> VariableResult | ErrorResponse:
        if isinstance(self.failing, Exception):
            raise self.failing
        if self.failing is None and key in self.kept:
            return VariableResult(key=key, value=self.kept[key])
        return ErrorResponse(error=self.failing or ErrorType.VARIABLE_NOT_FOUND)

    def _list(self, question: Any) -> Any:
        from airflow.sdk.execution_time.comms import VariableKeysResult

        # As SQLite and MySQL list them: they do not tell capitals apart in a prefix.
        keys = sorted(key for key in self.kept if key.lower().startswith(question.prefix.lower()))
        page = keys[question.offset : question.offset + question.limit]
        return _respond(self.listing, VariableKeysResult(keys=page, total_entries=len(keys)))


def _respond(fault: Any, response: Any) -> Any:
    if isinstance(fault, Exception):
        raise fault
    return response if fault is None else fault


@dataclass
class Store:
    """
    What one task instance keeps, as JSON.

    :param fault: what a write ends in. Nothing is changed then.
    """

    kept: dict[str, str] = field(default_factory=dict)
    fault: Exception | None = None

    def get(self, name: str) -> Any:
        return json.loads(self.kept[name]) if name in self.kept else None

    def set(self, name: str, value: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.kept[name] = json.dumps(value)

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)
