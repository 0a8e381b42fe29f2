"""A trigger sends no event before the scheduler has heard that the worker of its task ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.triggerer import triggerer
from tests.unit.triggers.poll_results import threshold_trigger

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator

_WAIT = 1.0


@pytest.mark.anyio
async def test_event_in_a_triggerer_waits_for_the_scheduler(
    airflow_db: None, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_videodb.triggers._base.SHORTEST_WAIT", _WAIT)
    emulator.set_balance(1000)

    async with triggerer() as airflow:
        began = time.monotonic()
        await airflow.start(threshold_trigger(poll_interval=0.05))
        await airflow.payload()

    assert time.monotonic() - began >= _WAIT
