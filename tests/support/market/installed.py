"""Putting a market where the code that buys polls for Airflow and for the time."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from airflow_provider_videodb.purchases import claims, stores, variables
from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR, VARIABLES_CAN_BE_LISTED
from tests.support.market.airflow import Keeps
from tests.support.market.process import Process, WorkerClock

if TYPE_CHECKING:
    import pytest

    from tests.support.market.market import Market

#: What this version of Airflow can do, of the ways to keep a record.
KEEPS = [
    *([Keeps.STATE_STORE, Keeps.EMPTIED_STATE_STORE] if STATE_STORE_OUTLIVES_CLEAR else []),
    *([Keeps.LISTED_VARIABLES] if VARIABLES_CAN_BE_LISTED else []),
    Keeps.VARIABLES,
]


class Place:
    """The place of the market of one example."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._market: Market | None = None
        # What the code says to the people of a million tries would fill the test's report.
        monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", self, raising=False)
        monkeypatch.setattr(claims, "time", SimpleNamespace(sleep=self.sleep))
        monkeypatch.setattr(stores, "STATE_STORE_OUTLIVES_CLEAR", stores.STATE_STORE_OUTLIVES_CLEAR)
        # Airflow below 3.3 has no task state store, but the rules are searched with one there too.
        monkeypatch.setattr("airflow.sdk.NEVER_EXPIRE", None, raising=False)
        monkeypatch.setattr(stores, "_is_emptied_on_success", self.is_emptied_on_success)
        monkeypatch.setattr(variables, "VARIABLES_CAN_BE_LISTED", variables.VARIABLES_CAN_BE_LISTED)

    def opens(self, market: Market) -> None:
        """Put another market here."""
        self._market = market
        keeps = market.airflow.keeps
        stores.STATE_STORE_OUTLIVES_CLEAR = keeps in (Keeps.STATE_STORE, Keeps.EMPTIED_STATE_STORE)
        variables.VARIABLES_CAN_BE_LISTED = keeps is not Keeps.VARIABLES

    def send(self, message: Any) -> Any:
        assert self._market is not None
        return self._market.airflow.send(message)

    def sleep(self, seconds: float) -> None:
        process = getcurrent()
        assert self._market is not None
        assert isinstance(process, Process)
        WorkerClock(self._market.time, process).sleep(seconds)

    def is_emptied_on_success(self) -> bool:
        assert self._market is not None
        return self._market.airflow.keeps is Keeps.EMPTIED_STATE_STORE
