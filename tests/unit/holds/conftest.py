"""An account that gates share, without a store or an Airflow behind it."""

from __future__ import annotations

import pytest

from tests.support.holds import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made_up = World()
    made_up.airflow.install(monkeypatch)
    return made_up
