"""What a test of a whole DAG run gets besides an Airflow and an emulator: waits that are short, and a person."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR
from tests.support.purchases import Person, watched_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a list that lags, and two tasks that notice each other, a matter of moments."""
    for module in ("purchases.rules.decide", "purchases.rules.tracking", "hooks.limited_client"):
        monkeypatch.setattr(f"airflow_provider_videodb.{module}.LIST_LAG", timedelta(seconds=0.2))
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.decide.DATE_STEP", timedelta(seconds=0.05))
    # A try waits for as long as the POST of one that died may still be under way.
    monkeypatch.setattr("airflow_provider_videodb.hooks.connection.ConnectionSettings.post_timeout", -1)
    monkeypatch.setattr("airflow_provider_videodb.purchases.posting.MAX_INTENT_AGE", 2)
    monkeypatch.setattr("airflow_provider_videodb.purchases.claims._CLAIM_RACE", 0.02)
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.MISSING_GRACE", timedelta(seconds=0.3))


@pytest.fixture(params=["task state store", "variables"] if STATE_STORE_OUTLIVES_CLEAR else ["variables"])
def record(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep the record of a purchase where Airflow 3.3 does, and where any other does."""
    monkeypatch.setattr(
        "airflow_provider_videodb.purchases.stores.STATE_STORE_OUTLIVES_CLEAR", request.param != "variables"
    )
    return str(request.param)


@pytest.fixture
def person(
    airflow_db: None, short_waits: None, record: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Person:
    """Return somebody who pays the link while the task waits."""
    somebody = Person(emulator)
    somebody.while_waiting = somebody.pays
    watched_by(somebody, monkeypatch)
    return somebody


@pytest.fixture
def connect(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give `videodb_default` the fields of the extra."""

    def with_extra(**extra: object) -> None:
        connection = emulator.connection | {"extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))

    return with_extra
