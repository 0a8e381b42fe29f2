"""Accounts whose automatic recharge the tests change, and the log of the operators."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.holds.rules.recharge import PREFIX
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from tests.conftest import API_KEY
from tests.support.recharge import NOTES

if TYPE_CHECKING:
    from collections.abc import Iterator


def connect(emulator: Emulator, conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = emulator.connection | {"extra": json.dumps({"max_retries": 0})}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


@pytest.fixture
def account(emulator: Emulator, no_notes: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return an account whose automatic recharge is off. The client does not retry; the task does."""
    connect(emulator, "videodb_default", monkeypatch)
    emulator.set_auto_recharge(enabled=False, threshold=5, amount=25)
    return emulator


@pytest.fixture
def other_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(credits=3, api_key=API_KEY) as running:
        connect(running, "other", monkeypatch)
        running.set_auto_recharge(enabled=False, threshold=7, amount=35)
        yield running


@pytest.fixture
def no_notes(airflow_db: None) -> None:
    """Remove what earlier tests have left in Variables."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for prefix in NOTES, PREFIX:
            # SQLAlchemy 1.4 cannot evaluate this condition on the objects of the session.
            gone = delete(Variable).where(Variable.key.startswith(prefix))
            session.execute(gone, execution_options={"synchronize_session": False})


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what the operators write to their logs, which Airflow keeps elsewhere."""
    logger = logging.getLogger("tests.auto_recharge")
    monkeypatch.setattr(AutoRechargeOperator, "log", logger)
    caplog.set_level(logging.INFO, logger.name)
    return caplog
