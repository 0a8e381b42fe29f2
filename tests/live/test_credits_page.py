"""The page "VideoDB" in Chromium, as people with different rights and windows see it."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import requests

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from dev.demo.browser import wait_for_animations
from dev.demo.credits_page import (
    add_connection,
    fit_window,
    log_in_as,
    open_credits_page,
    put_hold,
)
from tests.live.conftest import keep_picture, needs_chromium
from tests.live.credits_page import UNPAID_TEXTS, assert_fits, look_at, people_waiting, purchases_unpaid, text_of
from tests.support.compat import needs_listed_variables

pytestmark = needs_chromium
HOLDS = (
    ("12 credits were released, 9.5 spent", "shared_archive / credits")
    if VARIABLES_CAN_BE_LISTED
    else ("Credit holds need Airflow 3.3 or newer.",)
)
LONG = "a_dag_whose_name_does_not_fit_anywhere_" * 4


def test_person_on_call_sees_what_to_click(scene, page):
    log_in_as(page, scene.airflow, "op")
    open_credits_page(page, scene.airflow)
    fit_window(page, width=1280)
    keep_picture(page, "credits-page")
    needs = page.get_by_role("region", name="What needs you")
    [checkout] = scene.emulator.checkouts()
    button = needs.get_by_role("link", name="Pay 20 USD for credit_gate")
    assert button.get_attribute("href") == scene.emulator.payment_url(checkout.id)
    with page.expect_popup() as opened:
        button.click()
    opened.value.get_by_role("button", name="Pay").wait_for()
    assert (
        needs.get_by_role("link", name="credit_gate / top_up", exact=True)
        .get_attribute("href")
        .startswith("/dags/credit_gate/runs/")
    )
    needs.get_by_role("link", name="Open task credit_gate / top_up").click()
    page.wait_for_url("**/tasks/top_up**")


def test_owner_of_the_card_sees_the_month(scene, page):
    log_in_as(page, scene.airflow, "op")
    open_credits_page(page, scene.airflow)
    text = text_of(page)
    for shown in (
        "180 USD left of 200 USD",
        "Limit per purchase",
        "index_spoken_words",
        "Used this month, by kind",
        "20 USD: made, not paid yet",
        *HOLDS,
    ):
        assert shown in text
    assert scene.emulator.api_key not in page.content()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_page_fits_each_window(scene, page, theme, width):
    log_in_as(page, scene.airflow, "op")
    page.set_viewport_size({"width": width, "height": 900})
    open_credits_page(page, scene.airflow, theme=theme)
    assert_fits(page)
    fit_window(page, width=width)
    keep_picture(page, f"credits-page-{theme}-{width}")


def test_page_can_be_used_with_the_keyboard(scene, page):
    log_in_as(page, scene.airflow, "op")
    open_credits_page(page, scene.airflow)
    page.locator(".vdb h1").click()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "credit_gate / top_up"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Pay 20 USD for credit_gate")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('.vdb a')].filter(a => !a.innerText && !a.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    assert page.evaluate("[...document.querySelectorAll('.vdb table')].every(table => table.caption)")


def test_viewer_gets_a_friendly_page_and_no_data(scene, page):
    log_in_as(page, scene.airflow, "viewer")
    open_credits_page(page, scene.airflow)
    keep_picture(page, "credits-page-viewer")
    text = text_of(page)
    assert "You may not read a VideoDB connection" in text
    assert "videodb_default" not in text
    assert "credit_gate" not in text


def test_anonymous_visitor_gets_nothing_but_the_page_for_payers(scene):
    url = f"{scene.airflow.url}/videodb"
    for path in ("/api/connections", "/api/connections/videodb_default"):
        assert requests.get(url + path, timeout=10).status_code == 401
    assert requests.get(f"{url}/paid", timeout=10).status_code == 200


def test_ended_session_leads_to_the_login(scene, page):
    log_in_as(page, scene.airflow, "op")
    open_credits_page(page, scene.airflow)
    page.route("**/videodb/api/**", lambda route: route.fulfill(status=401, body="{}"))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    link = page.get_by_role("link", name="Log in again.").first
    link.wait_for()
    assert "/api/v2/auth/login?next=" in link.get_attribute("href")
    assert "Pay 20 USD" in text_of(page)


def test_frozen_videodb_leaves_the_rest_of_the_page(scene, page):
    # The other connection must not meet the fault.
    with Emulator(credits=3) as frozen:
        add_connection(scene.airflow, "videodb_frozen", frozen.connection, extra={"timeout": 60})
        fault = frozen.add_fault("hang", path="/billing/usage", seconds=120, times=None)
        try:
            log_in_as(page, scene.airflow, "op")
            page.goto(f"{scene.airflow.url}/plugin/videodb")
            card = page.get_by_role("region", name="Connection videodb_frozen")
            card.get_by_text("VideoDB has not responded yet").first.wait_for()
            card.get_by_text("No task waits with this connection.").wait_for()
            card.get_by_text("no complete response arrived within 10 s").first.wait_for()
            keep_picture(page, "credits-page-frozen")
        finally:
            frozen.remove_fault(fault.id)
            scene.airflow.api.delete_connection("videodb_frozen")


@needs_listed_variables
def test_refused_key_and_many_holds_stay_readable(scene, page):
    wrong = scene.emulator.connection | {"password": "sk-wrong-key"}
    add_connection(scene.airflow, "videodb_with_a_wrong_key", wrong, extra={"credit_account": "videodb_default"})
    for number in range(60):
        name = LONG if number == 0 else "shared_archive"
        put_hold(
            scene.airflow, Kind.HELD, credits=1, dag_id=name, run_id=f"many__{number}", ms=1_700_000_000_000 + number
        )
    try:
        log_in_as(page, scene.airflow, "op")
        page.set_viewport_size({"width": 390, "height": 844})
        open_credits_page(page, scene.airflow)
        assert_fits(page)
        text = text_of(page)
        assert "Next: Put a valid API key into the connection's password." in text
        assert "share these holds" in text
        assert "What was bought is unknown, because VideoDB's list could not be read." in text
        assert text.count("Nothing was bought or released yet.") == 0
        assert "a task that is unknown, or that you may not see" in text
        assert LONG not in text
        assert "airflow videodb holds list --account videodb_default" in text
        keep_picture(page, "credits-page-many")
    finally:
        scene.airflow.api.delete_connection("videodb_with_a_wrong_key")


@needs_listed_variables
def test_pause_says_who_needs_it(scene, page, people):
    _, runs = people
    scene.airflow.run_command("videodb", "holds", "pause", "--account", "videodb_people", "--reason", "VideoDB moves")
    try:
        run = scene.airflow.api.trigger("live_page_gate_waits")
        run.wait_for_task("credits", "deferred")
        runs["waits"] = run
        log_in_as(page, scene.airflow, "op")
        open_credits_page(page, scene.airflow)
        needs = page.get_by_role("region", name="What needs you").inner_text()
        assert re.search(r"\w+ paused the account until somebody resumes it: VideoDB moves\.", needs)
        assert "airflow videodb holds resume --account videodb_people" in needs
    finally:
        scene.airflow.run_command("videodb", "holds", "resume", "--account", "videodb_people")


def test_table_leads_to_each_of_many_connections(scene, page):
    extra = [f"videodb_customer_{number:02}" for number in range(30)]
    for conn_id in extra:
        add_connection(scene.airflow, conn_id, scene.emulator.connection)
    try:
        log_in_as(page, scene.airflow, "op")
        page.set_viewport_size({"width": 390, "height": 844})
        open_credits_page(page, scene.airflow)
        assert_fits(page)
        table = page.get_by_role("region", name="31 connections")
        table.get_by_role("link", name="videodb_customer_29").press("Enter")
        assert page.evaluate("document.activeElement.innerText") == "videodb_customer_29"
        card = page.get_by_role("region", name="Connection videodb_customer_29")
        assert card.get_by_role("heading", name="videodb_customer_29").bounding_box()["y"] < 844
        assert card.get_by_role("heading", name="Invoices").is_hidden()
        card.get_by_text("Holds, use, purchases, changes and invoices").click()
        assert card.get_by_role("heading", name="Invoices").is_visible()
        keep_picture(page, "credits-page-31")
    finally:
        for conn_id in extra:
            scene.airflow.api.delete_connection(conn_id)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_payer_is_told_that_the_page_can_be_closed(scene, page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 700})
    page.goto(f"{scene.airflow.url}/videodb/paid?session_id=cs_1")
    keep_picture(page, f"paid-{scheme}")
    assert page.get_by_role("heading").inner_text() == "Payment received"
    assert page.get_by_text("You can close this page.").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def people(scene):
    with people_waiting(scene) as waiting:
        yield waiting


@needs_listed_variables
def test_approver_reads_the_whole_request_on_a_phone(scene, page, people):
    log_in_as(page, scene.airflow, "op")
    page.set_viewport_size({"width": 390, "height": 844})
    open_credits_page(page, scene.airflow)
    page.get_by_role("link", name="Open the request of task live_page_approval /").click()
    page.get_by_role("row").filter(has_text="Approve 15 USD").get_by_role("button", name="Open Review Drawer").click()
    for part in (page.get_by_role("button", name="Approve 15 USD"), page.get_by_text("Nothing has been bought yet.")):
        part.scroll_into_view_if_needed()
        wait_for_animations(page)
        box = part.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    keep_picture(page, "approval-drawer-390")


def test_each_kind_of_wait_says_what_to_click(scene, page, people):
    emulator, runs = people
    log_in_as(page, scene.airflow, "op")
    open_credits_page(page, scene.airflow)
    fit_window(page, width=1280)
    keep_picture(page, "credits-page-people")
    needs = page.get_by_role("region", name="What needs you")
    [checkout] = emulator.checkouts()
    pay = needs.get_by_role("link", name="Pay 25 USD for live_page_gate_pays / credits")
    assert pay.get_attribute("href") == emulator.payment_url(checkout.id)
    text = needs.inner_text()
    assert "Approve 15 USD for VideoDB credits?" in text
    if VARIABLES_CAN_BE_LISTED:
        assert "Waiting: 40 credits needed" in text
        assert "It asks whether it may buy the rest." in text
    else:
        assert "Approve 35 USD for VideoDB credits?" in text
    for dag_id, place in (("live_page_gate_asks", "credits"), ("live_page_approval", "top_up/mapped/0")):
        name = place.replace("/mapped/0", " [0]")
        request = needs.get_by_role("link", name=f"Open the request of task {dag_id} / {name}")
        path = f"/dags/{dag_id}/runs/{quote(runs[dag_id].run_id, safe='')}/tasks/{place}/required_actions"
        assert request.get_attribute("href") == path
    for dag_id in ("live_page_approval", "live_page_gate_asks"):
        open_credits_page(page, scene.airflow)
        needs.get_by_role("link", name=f"Open the request of task {dag_id} /").click()
        page.get_by_role("button", name=re.compile(r"^Approve \d+ USD$")).wait_for()


def test_unpaid_purchase_needs_somebody_between_its_waits(scene, page):
    with purchases_unpaid(scene) as (link, task_page):
        log_in_as(page, scene.airflow, "op")
        look_at(page, scene.airflow, "credits-page-unpaid", shows="Say how a purchase of 40 USD ended")
        needs = page.get_by_role("region", name="What needs you")
        assert needs.get_by_role("link", name="Pay 30 USD for live_unpaid_late").get_attribute("href") == link
        assert needs.get_by_role("link", name="Open task live_unpaid_unknown").get_attribute("href") == task_page
        assert [text for text in UNPAID_TEXTS if not re.search(text, needs.inner_text())] == []
        # Its section would deny the link that the other connection of the account shows.
        assert page.get_by_text("Other open checkouts").count() == 0
