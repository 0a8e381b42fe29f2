"""Airflow's Variables and its task state store, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, VariableResult

if TYPE_CHECKING:
    import pytest


class Variables:
    """
    Airflow's Variables, which all tasks see.

    :param failing: what the API server answers to whoever wants to read one, in place of the Variable.
    """

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.failing: ErrorType | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put them where a task writes them, and where it asks the API server for one."""
        monkeypatch.setattr("airflow.providers.common.compat.sdk.Variable", self, raising=False)
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", self, raising=False)

    def send(self, question: Any) -> VariableResult | ErrorResponse:
        assert isinstance(question, GetVariable)
        if self.failing is None and question.key in self.kept:
            return VariableResult(key=question.key, value=self.kept[question.key])
        return ErrorResponse(error=self.failing or ErrorType.VARIABLE_NOT_FOUND)

    def set(self, key: str, value: str) -> None:
        self.kept[key] = value

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


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
