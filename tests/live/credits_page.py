"""What the tests of the page "VideoDB" share."""

from __future__ import annotations

from contextlib import contextmanager
from urllib.parse import quote

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS
from dev.demo.credits_page import add_connection, fit_window, open_credits_page
from tests.live.conftest import LIVE_DAGS, keep_picture
from tests.support.purchases import TOPUP
from tests.support.recorded import show_checkout

DAGS = LIVE_DAGS / "live_credits_page.py"
UNPAID_DAGS = LIVE_DAGS / "live_unpaid.py"
#: Two connections of one account.
UNPAID = ("videodb_unpaid", "videodb_unpaid_too")
UNPAID_TEXTS = (
    r"Its state is up_for_retry now, and the link stays valid\.",
    "Say how a purchase of 40 USD ended",
    "cs_of_a_colleague: 40 USD, completed",
    r"If one is: airflow videodb answer [0-9a-f]{16} --checkout CHECKOUT_ID --conn-id videodb_unpaid\n",
    r"If none is: airflow videodb answer [0-9a-f]{16} --buy --conn-id videodb_unpaid\n?",
)


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


def look_at(page, airflow, name, *, shows):
    """Open the page in a wide window and on a phone, and keep a picture of each once it shows a text."""
    for width in (1280, 390):
        open_credits_page(page, airflow)
        page.get_by_text(shows).wait_for()
        fit_window(page, width=width)
        assert_fits(page)
        keep_picture(page, f"{name}-{width}")


@contextmanager
def people_waiting(scene):
    """Let tasks wait for a response, for a response in the queue, and for a payment with a Required Action."""
    airflow = scene.airflow
    with Emulator(credits=5) as emulator:
        add_connection(airflow, "videodb_people", emulator.connection)
        _add_dags(airflow, DAGS)
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


@contextmanager
def purchases_unpaid(scene):
    """Leave a payable link whose task is up for a retry, and a purchase whose response was lost."""
    airflow = scene.airflow
    with Emulator(credits=5) as emulator:
        for conn_id in UNPAID:
            add_connection(airflow, conn_id, emulator.connection)
        _add_dags(airflow, UNPAID_DAGS)
        for dag_id in ("live_unpaid_late", "live_unpaid_unknown"):
            airflow.api.wait_for_dag(dag_id)
        late = airflow.api.trigger("live_unpaid_late")
        late.wait_for_task("top_up", "up_for_retry")
        [checkout] = emulator.checkouts()
        emulator.change_settings(charge_stored_card=True)
        emulator.add_fault("drop_after", method="POST", path=TOPUP)
        unknown = airflow.api.trigger("live_unpaid_unknown")
        emulator.wait_for_calls(2, "POST", TOPUP, timeout=60)
        show_checkout(emulator, "cs_of_a_colleague", amount=40, status="completed")
        unknown.wait_for_task("top_up", "failed")
        task_page = f"/dags/live_unpaid_unknown/runs/{quote(unknown.run_id, safe='')}/tasks/top_up"
        yield emulator.payment_url(checkout.id), task_page
        for run in (late, unknown):
            airflow.api.request("PATCH", f"/dags/{run.dag_id}/dagRuns/{run.run_id}", json={"state": "success"})
        for conn_id in UNPAID:
            airflow.api.delete_connection(conn_id)


def _add_dags(airflow, file):
    link = airflow.home / "dags" / file.name
    if not link.exists():
        link.symlink_to(file)
