"""Fixtures for tests of hooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from tests.conftest import API_KEY

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., VideoDBBillingHook]:
    """Return a function that makes a hook on a connection, given as in `AIRFLOW_CONN_…` or by its fields."""

    def hook_on(value: str | None = None, **fields: object) -> VideoDBBillingHook:
        value = json.dumps({"conn_type": "videodb", "password": API_KEY, **fields}) if value is None else value
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", value)
        return VideoDBBillingHook()

    return hook_on
