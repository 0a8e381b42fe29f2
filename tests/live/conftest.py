from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.dags import EXAMPLE_DAGS, link_dags
from dev.airflow.instance import AirflowInstance
from dev.demo.browser import find_chromium, open_page
from dev.demo.credits_page import fill, page_environment
from tests.support.stats import HAS_STATSD, StatsdSink

LIVE_DAGS = Path(__file__).parent / "dags"
PICTURES = os.environ.get("VIDEODB_PICTURES")
CHROMIUM = find_chromium()
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine; CI installs one")

# Airflow gives up a killed triggerer after 5 seconds, not 30, and the next one takes over its triggers.
QUICK_TO_NOTICE = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
}

# Where Airflow keeps the record of a purchase. Airflow empties its task state store when a task succeeds if this
# setting is true, so the provider keeps the record in a Variable.
CLEAR_ON_SUCCESS = {"task state store": "False", "variables": "True"}
FENCED = {
    # Airflow gives up a task with a frozen supervisor after seconds, not after five minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    # By default a worker repeats a refused call of the API server five times, for more than a minute.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "1",
}


@pytest.fixture(scope="package")
def shared_emulator():
    """Run one emulator for `live_airflow`, which learns its address at start."""
    with Emulator(credits=3, price_index=4) as emulator:
        yield emulator


@pytest.fixture(scope="package")
def statsd_sink():
    """Receive the metrics of `live_airflow`, if statsd is installed."""
    with StatsdSink() as sink:
        yield sink


@pytest.fixture(scope="package")
def live_airflow(shared_emulator, statsd_sink, tmp_path_factory):
    """Run an Airflow with the example DAGs and those of tests/live/dags."""
    home = tmp_path_factory.mktemp("live_airflow")
    # After a death in a POST, the retry waits this timeout and 25 seconds more.
    connection = shared_emulator.connection | {"extra": {"timeout": 10}}
    with AirflowInstance(
        home,
        dags_folder=link_dags(home / "dags", EXAMPLE_DAGS, LIVE_DAGS),
        connections={"videodb_default": connection},
        # Tasks that wait for the POST of a dead try keep their workers meanwhile.
        parallelism=8,
        settings=QUICK_TO_NOTICE | (statsd_sink.settings if HAS_STATSD else {}),
        serve_logs=True,
    ) as airflow:
        airflow.api.wait_for_dag("credit_gate")
        yield airflow


@pytest.fixture
def emulator(shared_emulator):
    """Return the emulator of `live_airflow`, reset to 3 credits and no checkout."""
    shared_emulator.reset()
    return shared_emulator


@pytest.fixture(autouse=True)
def no_holds(request):
    """Remove the records of holds after each test, because released credits count for 20 minutes."""
    yield
    if "live_airflow" not in request.fixturenames:
        return
    live_airflow = request.getfixturevalue("live_airflow")
    for variable in live_airflow.api.pages("/variables", "variables", variable_key_pattern="videodb/"):
        live_airflow.api.request("DELETE", f"/variables/{variable['key']}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Run an Airflow with users, whose credits page has something of everything to show."""
    with page_environment(tmp_path_factory.mktemp("scene")) as scene:
        fill(scene.emulator, scene.airflow)
        yield scene


@pytest.fixture
def page(request):
    """Open a browser."""
    with open_page(CHROMIUM) as page:
        if "scene" in request.fixturenames:
            # Many parts of the credits page are read one after the other.
            page.set_default_timeout(90_000)
        yield page


@pytest.fixture(scope="package")
def fenced_emulator():
    """Run one emulator for `fenced_airflow`."""
    with Emulator(credits=3) as emulator:
        yield emulator


@pytest.fixture(scope="package")
def fenced_airflow(request, fenced_emulator, tmp_path_factory):
    """
    Run an Airflow that gives up frozen tasks early, with the record in the store that the test names.

    Give this fixture a separate ``parametrize``, because pytest otherwise restarts Airflow for each test.
    """
    dags = tmp_path_factory.mktemp("fenced_dags")
    for name in ("live_fence.py", "live_records.py"):
        shutil.copy(LIVE_DAGS / name, dags)
    connection = fenced_emulator.connection | {"extra": {"timeout": 5}}
    with AirflowInstance(
        tmp_path_factory.mktemp("fenced_airflow"),
        dags_folder=dags,
        connections={"videodb_default": connection},
        settings=FENCED | {"AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS": CLEAR_ON_SUCCESS[request.param]},
    ) as airflow:
        for dag_id in ("live_frozen", "live_records"):
            airflow.api.wait_for_dag(dag_id)
        yield airflow


def keep_picture(page, name):
    """Save what the browser shows into the folder that VIDEODB_PICTURES names, if it names one."""
    if PICTURES is not None:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
