"""A try of a task that is told what to think of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.exceptions import VideoDBError


@dataclass
class StandInTry:
    """
    A try of a task.

    :param error: what a check raises.
    :param on_check: what happens while Airflow is asked.
    """

    id: str = "try-1"
    error: VideoDBError | None = None
    checks: int = 0
    on_check: Callable[[], object] = lambda: None

    def check(self) -> None:
        self.checks += 1
        self.on_check()
        if self.error is not None:
            raise self.error
