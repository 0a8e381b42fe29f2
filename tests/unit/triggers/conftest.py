from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Triggers run in asyncio, and there alone."""
    return "asyncio"


@pytest.fixture(autouse=True)
def quick_to_believe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the two looks that an expired checkout takes be moments apart, not ten seconds."""
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.LIST_LAG", timedelta(seconds=0.05))
