"""The server that stands for VideoDB, from the outside."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dev.airflow.processes import until
from dev.benchmarks.channel import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Api:
    """One server; see `benchmarks.api_server` for what the calls mean."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.port: int = child.ask("port")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, *, since: float = 0.0, until: float | None = None) -> int:
        """Return how many requests came in that time."""
        count: int = self._child.ask("count", since=since, until=until)
        return count

    def by_key(self, *, since: float, until: float) -> dict[str, list[float]]:
        """Return when the requests of that time came, by API key."""
        times: dict[str, list[float]] = self._child.ask("by_key", since=since, until=until)
        return times

    def open_after_next(self) -> float:
        """Let the credits arrive right after the next request was answered without them; return when that was."""
        opened: float = self._child.ask("open_after_next")
        return opened

    def shut(self) -> None:
        """Take the credits away again."""
        self._child.ask("shut")

    def wait_for(self, requests: int, *, timeout: float) -> None:
        """Wait until so many more requests have come."""
        target = self.count() + requests
        until(lambda: self.count() >= target, timeout=timeout, what=f"{requests} requests", interval=0.02)

    def reaches(self, requests: int, *, timeout: float) -> bool:
        """Wait until so many requests have come in all, and tell whether they did in time."""
        deadline = time.monotonic() + timeout
        while self.count() < requests and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.count() >= requests


@contextmanager
def api_server(logs: Path, *, missing: bool, latency: float = 0.0) -> Iterator[Api]:
    """Run a server that answers without the credits, by 404 or by a balance that is too low."""
    with Child("benchmarks.api_server", env=os.environ, log_file=logs / "api_server.log") as child:
        child.ask("settle", missing=missing, latency=latency)
        yield Api(child)
