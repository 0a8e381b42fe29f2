from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.instance import EXAMPLE_DAGS, AirflowInstance

LIVE_DAGS = Path(__file__).parent / "dags"
PICTURES = os.environ.get("VIDEODB_PICTURES")

# A triggerer that was killed is given up after 5 seconds, not 30, and another takes over its triggers.
QUICK_TO_NOTICE = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
}


@pytest.fixture(scope="session")
def shared_emulator():
    """One emulator for the session: Airflow learns its address when it starts."""
    with Emulator(credits=3, price_index=4) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def live_airflow(shared_emulator, tmp_path_factory):
    """A real Airflow with the example DAGs and those of tests/live/dags, connected to `shared_emulator`."""
    dags = tmp_path_factory.mktemp("live_dags")
    for path in (*EXAMPLE_DAGS.glob("*.py"), *LIVE_DAGS.glob("*.py")):
        shutil.copy(path, dags)
    # A retry waits for the POST of a try that died for 25 seconds and this.
    connection = shared_emulator.connection | {"extra": {"timeout": 10}}
    with AirflowInstance(
        tmp_path_factory.mktemp("live_airflow"),
        dags_folder=dags,
        connections={"videodb_default": connection},
        settings=QUICK_TO_NOTICE,
        serve_logs=True,
    ) as airflow:
        airflow.api.wait_for_dag("credit_gate")
        yield airflow


@pytest.fixture
def emulator(shared_emulator):
    """The emulator that `live_airflow` is connected to, as it was at its start: 3 credits, nothing bought."""
    shared_emulator.reset()
    return shared_emulator


def keep_picture(page, name):
    """Save what the browser shows into the folder that VIDEODB_PICTURES names, if it names one."""
    if PICTURES is not None:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
