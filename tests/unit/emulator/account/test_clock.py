"""The emulator's clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_videodb.emulator.account.clock import Clock
from airflow_provider_videodb.emulator.errors import InvalidValueError

NOON = datetime(2026, 5, 31, 12, tzinfo=UTC)


def test_clock_never_goes_back():
    clock = Clock(wall=NOON.timestamp)
    with pytest.raises(InvalidValueError):
        clock.advance(-1)
    assert clock.now() == NOON
