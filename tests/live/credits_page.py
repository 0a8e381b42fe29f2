"""What the tests of the page "VideoDB" share."""

from __future__ import annotations

from contextlib import contextmanager

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS
from dev.demo.credits_page import add_connection
from tests.live.conftest import LIVE_DAGS

DAGS = LIVE_DAGS / "live_credits_page.py"


def text_of(page):
    return page.locator(".vdb").inner_text()


def assert_fits(page):
    """Nothing is wider than the window."""
    wider = page.evaluate("""() => {
        const root = document.querySelector('.vdb');
        return [...root.querySelectorAll('*')]
            .filter(one => !one.closest('.vdb-hidden, thead') && one.getBoundingClientRect().right > innerWidth + 1)
            .map(one => one.outerHTML.slice(0, 120))
            .concat(root.scrollWidth > root.clientWidth ? ['the page scrolls sideways'] : []);
    }""")
    assert wider == []


@contextmanager
def people_waiting(scene):
    """Let tasks wait for a response, for a response in the queue, and for a payment with a Required Action."""
    airflow = scene.airflow
    with Emulator(credits=5) as emulator:
        add_connection(airflow, "videodb_people", emulator.connection)
        link = airflow.home / "dags" / DAGS.name
        if not link.exists():
            link.symlink_to(DAGS)
        runs = {}
        for dag_id, task_id, state in (
            ("live_page_gate_pays", "credits", "deferred"),
            ("live_page_gate_asks", "credits", "deferred"),
            ("live_page_approval", "top_up", "awaiting_input" if RESPONSES_RESUME_TASKS else "deferred"),
        ):
            airflow.api.wait_for_dag(dag_id)
            runs[dag_id] = airflow.api.trigger(dag_id)
            index = 0 if task_id == "top_up" else -1
            runs[dag_id].wait_for_task(task_id, state, map_index=index)
        yield emulator, runs
        for run in runs.values():
            airflow.api.request("PATCH", f"/dags/{run.dag_id}/dagRuns/{run.run_id}", json={"state": "failed"})
        airflow.api.delete_connection("videodb_people")
        # What a gate has held counts until it settles, and would change the sums of the next test.
        for variable in airflow.api.pages("/variables", "variables", variable_key_pattern="videodb_people"):
            airflow.api.request("DELETE", f"/variables/{variable['key']}")
