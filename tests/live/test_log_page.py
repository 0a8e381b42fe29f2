"""What a person reads on the log page of a task that failed, in Chromium at 1280 x 900."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import requests

from dev.airflow.processes import free_port
from dev.demo.browser import open_page, read_log_page
from tests.live.conftest import CHROMIUM, keep_picture, needs_chromium
from tests.support.troubleshooting import entries_for

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def page():
    with open_page(CHROMIUM) as page:
        page.set_viewport_size({"width": 1280, "height": 900})
        yield page


@pytest.fixture
def connect(live_airflow, emulator):
    """Return what makes a connection to the emulator that differs as it is told, until the test ends."""
    made = []

    def connect(conn_id, *, host=emulator.base_url, password=emulator.api_key, **extra):
        live_airflow.api.set_connection(
            conn_id, conn_type="videodb", host=host, password=password, extra=json.dumps(extra) if extra else None
        )
        made.append(conn_id)

    yield connect
    for conn_id in made:
        live_airflow.api.delete_connection(conn_id)


@pytest.fixture
def failed(live_airflow, page):
    """Return what waits for a run's one task to fail and reads its page."""

    def failed(run):
        assert run.wait(timeout=90) == "failed"
        log = read_log_page(page, live_airflow, run, "fails")
        keep_picture(page, run.dag_id)
        assert not [line.text for line in log.errors if line.hidden_pixels > 0]
        assert len(log.exceptions) == 1
        # A person who copies the first line finds it on the page.
        assert entries_for(log.errors[0].text)
        assert len([line for line in log.errors if line.text.startswith("Next step: ")]) <= 1
        return [line.text for line in log.errors]

    return failed


def one_line(lines, pattern):
    """Return the place of the one line that fits the pattern from its beginning."""
    [place] = [place for place, line in enumerate(lines) if re.match(pattern, line)]
    return place


def test_wrong_key_names_the_field_to_correct(live_airflow, connect, failed):
    connect("videodb_wrong_key", password="sk-revoked")
    lines = failed(live_airflow.api.trigger("live_wrong_key"))

    assert "401" in " ".join(lines)
    assert "API key" in " ".join(lines)
    assert lines[-1] == "Connection: videodb_wrong_key"
    assert "sk-revoked" not in " ".join(lines)


def test_limit_names_amount_and_owner(live_airflow, connect, failed):
    connect("videodb_limited", max_topup_amount=10)
    lines = failed(live_airflow.api.trigger("live_limit"))

    assert "20 USD" in " ".join(lines)
    assert "max_topup_amount" in " ".join(lines[one_line(lines, "Next step: ") :])
    assert lines[-1] == "Connection: videodb_limited"


def test_unknown_outcome_shows_candidates_and_ways_out(live_airflow, emulator, connect, failed):
    connect("videodb_impatient", timeout=3, max_retries=0)
    emulator.change_settings(charge_stored_card=True)
    emulator.add_fault("hang", method="POST", path="/billing/topup", seconds=60, work=True)
    run = live_airflow.api.trigger("live_unknown_outcome")
    emulator.wait_for_calls(1, "POST", "/billing/topup", timeout=60)
    # Somebody else buys for the same amount while the task waits for its response.
    headers = {"x-access-token": emulator.api_key}
    requests.post(f"{emulator.base_url}/billing/topup", json={"amount": 20}, headers=headers, timeout=3)
    lines = failed(run)

    assert "20 USD" in " ".join(lines)
    for checkout in emulator.checkouts():
        assert checkout.id in " ".join(lines)
    for word in ("CHECKOUT_ID", "buy"):
        one_line(lines, rf"airflow variables set videodb_resolution_\w+ {word}$")
    assert lines[-1] == "Connection: videodb_impatient"


def test_payment_timeout_shows_the_link_that_is_open(live_airflow, emulator, failed):
    lines = failed(live_airflow.api.trigger("live_payment_timeout"))

    [checkout] = emulator.checkouts()
    assert "within 1 s" in " ".join(lines)
    assert emulator.payment_url(checkout.id) in lines
    assert lines[-1] == "Connection: videodb_default"


def test_unreachable_videodb_fails_the_gate_with_a_reason(live_airflow, connect, failed):
    connect("videodb_away", host=f"http://127.0.0.1:{free_port()}", max_retries=0)
    lines = failed(live_airflow.api.trigger("live_away"))

    assert "/billing/usage" in " ".join(lines)
    assert lines[-1] == "Connection: videodb_away"


def test_expired_checkout_says_how_to_get_a_new_link(live_airflow, emulator, failed):
    run = live_airflow.api.trigger("live_expired")
    run.wait_for_task("fails", "deferred")
    [checkout] = emulator.checkouts()
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    emulator.show_checkout_as(checkout.id, status="expired", created_at=yesterday.isoformat())
    lines = failed(run)

    assert checkout.id in " ".join(lines)
    assert "expired" in " ".join(lines)
    assert "clear the task" in " ".join(lines)
    assert lines[-1] == "Connection: videodb_default"


def test_gate_timeout_says_what_was_missing(live_airflow, emulator, failed):
    lines = failed(live_airflow.api.trigger("live_gate_timeout"))

    assert "100 credits" in lines[0]
    assert "3 credits" in " ".join(lines)
    one_line(lines, "Next step: top up the account")
    assert lines[-1] == "Connection: videodb_default"
