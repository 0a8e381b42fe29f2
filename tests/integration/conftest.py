"""Give each DAG run short waits, a record store and a person who pays."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.api.client import BillingClient
from tests.support.approvals import Approver
from tests.support.purchases import RECORD_STORES, VARIABLES, Person, watched_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.emulator.server import Emulator


@pytest.fixture
def holding_account(airflow_db: None, emulator: Emulator) -> Emulator:
    """Return an account with 150 credits."""
    emulator.set_balance(150)
    return emulator


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten each wait of a purchase to a fraction of a second."""
    for module in ("purchases.rules.decide", "purchases.rules.tracking", "hooks.limited_client"):
        monkeypatch.setattr(f"airflow_provider_videodb.{module}.LIST_LAG", timedelta(seconds=0.2))
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.decide.DATE_STEP", timedelta(seconds=0.05))
    # A retry waits the sum of these two, in seconds. A busy machine may need long to store the intent.
    monkeypatch.setattr("airflow_provider_videodb.hooks.connection.ConnectionSettings.post_timeout", -29.5)
    monkeypatch.setattr("airflow_provider_videodb.purchases.posting.MAX_INTENT_AGE", 30)
    monkeypatch.setattr("airflow_provider_videodb.purchases.claims._CLAIM_RACE", 0.02)
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.MISSING_GRACE", timedelta(seconds=0.3))


@pytest.fixture
def record(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """
    Choose where Airflow keeps the record of a purchase.

    The default is the store that this Airflow uses. A test of the record asks for the other store as well, with
    ``parametrize("record", RECORD_STORES, indirect=True)``.
    """
    store: str = getattr(request, "param", RECORD_STORES[0])
    monkeypatch.setattr("airflow_provider_videodb.purchases.stores.STATE_STORE_OUTLIVES_CLEAR", store != VARIABLES)
    return store


@pytest.fixture
def person(
    airflow_db: None, short_waits: None, record: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Person:
    """Return a person who pays the link while the task waits."""
    somebody = Person(emulator)
    somebody.while_waiting = somebody.pays
    watched_by(somebody, monkeypatch)
    return somebody


@pytest.fixture
def connect(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the extra of `videodb_default`."""

    def with_extra(**extra: object) -> None:
        connection = emulator.connection | {"extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))

    return with_extra


@pytest.fixture
def other_client(emulator: Emulator) -> BillingClient:
    """Return a client of the same account outside Airflow."""
    return BillingClient(emulator.api_key, base_url=emulator.base_url)


@pytest.fixture
def approver(person: Person) -> Iterator[Approver]:
    """Respond to each request for an approval."""
    with Approver().attends() as somebody:
        yield somebody
