"""How many questions a channel to Airflow takes at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_videodb.purchases.variables import ask_airflow

_TOGETHER = 5.0


class Channel:
    """Responds once two threads ask at the same time, or says that they did not."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    def send(self, question: Any) -> bool:
        try:
            self._both.wait(timeout=_TOGETHER if self.takes_many else 0.2)
        except threading.BrokenBarrierError:
            return False
        return True

    @property
    def takes_many(self) -> bool:
        return hasattr(self, "start_reader")


class TriggererChannel(Channel):
    def start_reader(self) -> None:
        """Mark the channel of a triggerer, which reads responses in the background."""


@pytest.mark.parametrize(("channel", "is_together"), [(TriggererChannel(), True), (Channel(), False)])
def test_only_a_triggerer_asks_two_questions_at_once(
    monkeypatch: pytest.MonkeyPatch, channel: Channel, is_together: bool
) -> None:
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", channel, raising=False)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(ask_airflow, range(2))) == [is_together, is_together]
