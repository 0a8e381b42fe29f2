from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Triggers run on asyncio only."""
    return "asyncio"


@pytest.fixture(autouse=True)
def expires_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe an expired checkout after two polls that are moments apart, not ten seconds."""
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.LIST_LAG", timedelta(seconds=0.05))


@pytest.fixture(autouse=True)
def sends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send the first event of a wait at once."""
    monkeypatch.setattr("airflow_provider_videodb.triggers._base.SHORTEST_WAIT", 0)
