"""The world of a purchase, for the tests of what surrounds it."""

from __future__ import annotations

import logging

import pytest

from tests.support.variables import Variables
from tests.support.worlds import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> World:
    caplog.set_level(logging.INFO, logger="airflow_provider_videodb")
    made_up = World()
    made_up.install(monkeypatch)
    return made_up


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()
    kept.install(monkeypatch)
    return kept
