"""The pictures of the docs, taken from a running Airflow. `make screenshots` writes them into docs/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS
from dev.demo.browser import (
    show_approval,
    show_connection_form,
    show_extra_fields,
    show_pay_button,
    show_required_action,
)
from dev.demo.credits_page import (
    draw_approval_line,
    fit_window,
    log_in_as,
    open_credits_page,
)
from tests.live.conftest import PICTURES, needs_chromium

ROOT = Path(__file__).parents[2]
TAKEN = {
    "approval",
    "connection-form",
    "connection-limits",
    "credits-page",
    "credits-page-phone",
    "pay-button",
    "required-action",
}
needs_newest_look = pytest.mark.skipif(
    not RESPONSES_RESUME_TASKS, reason="this Airflow looks different; the docs show the newest"
)


@pytest.fixture
def take(page, tmp_path):
    """Return a function that takes a picture of the window, and checks that it shows these texts."""

    def take_picture(name, *texts):
        assert name in TAKEN
        for text in texts:
            shown = page.get_by_text(text, exact=True).first
            shown.wait_for()
            box, window = shown.bounding_box(), page.viewport_size
            assert 0 <= box["x"] <= box["x"] + box["width"] <= window["width"] + 1, text
            assert 0 <= box["y"] <= box["y"] + box["height"] <= window["height"] + 1, text
        page.screenshot(path=Path(PICTURES or tmp_path) / f"{name}.png")

    return take_picture


def resize(page, width, height):
    page.set_viewport_size({"width": width, "height": height})


def test_docs_show_each_picture_and_no_other():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {Path(link).stem for page in pages for link in re.findall(r"!\[[^]]*\]\(([^)]*\.png)\)", page.read_text())}
    assert {picture.stem for picture in (ROOT / "docs").glob("*.png")} == TAKEN == shown


@needs_chromium
@needs_newest_look
def test_connection_form(live_airflow, page, take):
    resize(page, 1100, 800)
    show_connection_form(page, live_airflow, "videodb_default")
    take("connection-form", "Base URL", "API key")
    resize(page, 1100, 1500)
    show_extra_fields(page)
    [connection] = get_provider_info()["connection-types"]
    take("connection-limits", *(field["label"] for field in connection["conn-fields"].values()))


@needs_chromium
@needs_newest_look
def test_waiting_payment(live_airflow, emulator, page, take):
    run = live_airflow.api.trigger("credit_gate")
    run.wait_for_task("top_up", "deferred")
    resize(page, 1280, 500)
    show_pay_button(page, live_airflow, run, "top_up")
    take("pay-button", "Pay 20 USD")
    resize(page, 1280, 560)
    show_required_action(page, live_airflow, run, "top_up")
    take("required-action", "Cancel")


@needs_chromium
@needs_newest_look
def test_credits_page(scene, page, take):
    log_in_as(page, scene.airflow, "op")
    open_credits_page(page, scene.airflow)
    fit_window(page, width=1280)
    take("credits-page", "What needs you", "Used this month, by kind")
    resize(page, 390, 844)
    open_credits_page(page, scene.airflow, theme="dark")
    take("credits-page-phone", "VideoDB credits")


@needs_chromium
@needs_newest_look
def test_request_for_approval(scene, page, take):
    draw_approval_line(scene, above=10)
    # Too few for the job, and near enough for the connection's limit on one purchase.
    scene.emulator.set_balance(80)
    run = scene.airflow.api.trigger("ensure_credits")
    run.wait_for_task("ensure_credits", "awaiting_input")
    log_in_as(page, scene.airflow, "op")
    resize(page, 1280, 800)
    show_approval(page, scene.airflow, run, "ensure_credits")
    take("approval", "Refuse")
