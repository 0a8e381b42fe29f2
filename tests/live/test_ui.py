"""What a person sees and clicks, in Chromium."""

from __future__ import annotations

import json

from dev.demo.browser import (
    BUTTON,
    open_details,
    show_connection_form,
    show_extra_fields,
    show_pay_button,
    type_extra,
)
from tests.live.conftest import keep_picture, needs_chromium
from tests.support.compat import needs_form_fields, needs_form_with_json

pytestmark = needs_chromium

FIELD_LABELS = (
    "Timeout (seconds)",
    "Retries",
    "Limit per top-up (USD)",
    "Monthly limit (USD)",
    "Approval above (USD)",
    "Credit account",
    "Credit reserve (credits)",
    "Settlement time (minutes)",
)
EMPTIED_FIELDS = (
    "monthly_topup_limit",
    "timeout",
    "max_retries",
    "approval_above",
    "credit_account",
    "credit_reserve",
    "settlement_minutes",
)


@needs_form_fields
def test_connection_form_saves_what_the_hook_reads(live_airflow, page):
    fill_standard_fields(page, live_airflow)
    show_extra_fields(page)
    for label in FIELD_LABELS:
        assert page.get_by_text(label, exact=True).is_visible()
    page.locator("input[name=element_max_topup_amount]").fill("50")
    # An emptied field must not be saved as an empty text, because the hook refuses that.
    for emptied in EMPTIED_FIELDS:
        for typed in ("7", ""):
            page.locator(f"input[name=element_{emptied}]").fill(typed)
            page.keyboard.press("Tab")
    saved, settings = save_and_read(page, live_airflow)

    assert json.loads(saved["extra"]) == {"max_topup_amount": 50, **dict.fromkeys(EMPTIED_FIELDS)}
    assert settings.limits.max_topup_amount == 50
    assert settings.limits.monthly_topup_limit is None
    assert (settings.timeout, settings.max_retries) == (30, 3)
    assert settings.credit_account == "videodb_from_the_form"
    assert (settings.credit_reserve, settings.settlement_minutes) == (0, 20)


@needs_form_with_json
def test_connection_form_takes_the_extra_as_json(live_airflow, page):
    fill_standard_fields(page, live_airflow)
    type_extra(page, '{"max_topup_amount": 50, "timeout": 7}')
    saved, settings = save_and_read(page, live_airflow)

    assert saved["conn_type"] == "videodb"
    assert (settings.limits.max_topup_amount, settings.timeout, settings.max_retries) == (50, 7, 3)


def fill_standard_fields(page, airflow):
    show_connection_form(page, airflow, "videodb_from_the_form")
    for label in ("Base URL", "API key"):
        assert page.get_by_text(label, exact=True).is_visible()
    for hidden in ("Login", "Port", "Schema"):
        assert page.get_by_text(hidden, exact=True).count() == 0
    page.locator("input[name=password]").fill("sk-from-the-form")


def save_and_read(page, airflow):
    """Save the open form, and return what Airflow stored and what the hook makes of it."""
    from airflow.sdk import Connection

    from airflow_provider_videodb.hooks.connection import ConnectionSettings

    keep_picture(page, "connection-form")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("videodb_from_the_form").first.wait_for()
    saved = airflow.api.request("GET", "/connections/videodb_from_the_form")
    airflow.api.delete_connection("videodb_from_the_form")
    connection = Connection(
        conn_id=saved["connection_id"],
        conn_type=saved["conn_type"],
        host=saved["host"],
        password="sk-from-the-form",
        extra=saved["extra"],
    )
    return saved, ConnectionSettings.from_connection(connection)


def test_button_leads_to_the_payment_and_then_disappears(live_airflow, emulator, page):
    run = live_airflow.api.trigger("credit_gate")
    run.wait_for_task("top_up", "deferred")

    button = show_pay_button(page, live_airflow, run, "top_up")
    assert button.inner_text() == "Pay 20 USD"
    with page.expect_popup() as opened:
        button.click()
    checkout = opened.value
    checkout.get_by_role("button", name="Pay").click()

    assert run.wait() == "success"
    assert [(bought.amount, bought.status) for bought in emulator.checkouts()] == [(20, "completed")]
    assert run.links("top_up") == {"Pay 20 USD": None}
    assert buttons_of(page, live_airflow, run, "top_up") == 0


def test_button_disappears_when_the_checkout_expires(live_airflow, emulator, page):
    run = live_airflow.api.trigger("live_expired")
    run.wait_for_task("fails", "deferred")
    assert buttons_of(page, live_airflow, run, "fails") == 1
    [checkout] = emulator.checkouts()
    emulator.expire(checkout.id)

    assert run.wait(timeout=90) == "failed"
    assert buttons_of(page, live_airflow, run, "fails") == 0


def test_button_stays_while_the_checkout_can_be_paid(live_airflow, emulator, page):
    run = live_airflow.api.trigger("live_payment_timeout")

    assert run.wait(timeout=90) == "failed"
    [checkout] = emulator.checkouts()
    assert run.links("fails") == {"Pay 20 USD": emulator.payment_url(checkout.id)}
    assert buttons_of(page, live_airflow, run, "fails") == 1


def buttons_of(page, airflow, run, task_id):
    """Open the details of a task and count its payment buttons."""
    open_details(page, airflow, run, task_id)
    keep_picture(page, f"button-{run.dag_id}-{run.task(task_id)['state']}")
    return page.get_by_role("link", name=BUTTON).count()
