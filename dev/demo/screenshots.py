"""Take the README's pictures from a running Airflow: `python -m dev.demo.screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev.demo.browser import (
    find_chromium,
    open_page,
    show_approval,
    show_connection_form,
    show_extra_fields,
    show_pay_button,
    show_required_action,
)
from dev.demo.console import say
from dev.demo.credits_page import (
    draw_approval_line,
    fill,
    fit_window,
    log_in_as,
    open_credits_page,
    page_environment,
)
from dev.demo.environment import DAG_ID, environment
from dev.demo.observer import GATE_TASK

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from dev.airflow.instance import AirflowInstance
    from dev.demo.credits_page import PageEnvironment

DOCS = Path(__file__).parents[2] / "docs"


def main() -> int:
    """Write the pictures into docs/."""
    chromium = find_chromium()
    if chromium is None:
        say("No Chromium found. Next step, on Debian: apt-get install chromium")
        return 1
    with tempfile.TemporaryDirectory() as home, environment(Path(home)) as env, open_page(chromium) as page:
        run = env.airflow.api.trigger(DAG_ID)
        page.set_viewport_size({"width": 1100, "height": 800})
        show_connection_form(page, env.airflow, "videodb_default")
        page.screenshot(path=DOCS / "connection-form.png")
        page.set_viewport_size({"width": 1100, "height": 1370})
        show_extra_fields(page)
        page.screenshot(path=DOCS / "connection-limits.png")
        run.wait_for_task(GATE_TASK, "deferred")
        page.set_viewport_size({"width": 1280, "height": 500})
        show_pay_button(page, env.airflow, run, GATE_TASK)
        page.screenshot(path=DOCS / "pay-button.png")
        page.set_viewport_size({"width": 1280, "height": 560})
        show_required_action(page, env.airflow, run, GATE_TASK)
        page.screenshot(path=DOCS / "required-action.png")
    with tempfile.TemporaryDirectory() as home, page_environment(Path(home)) as scene:
        fill(scene.emulator, scene.airflow)
        with open_page(chromium) as page:
            take_credits_pages(page, scene.airflow)
            take_approval(page, scene)
    return 0


def take_credits_pages(page: Page, airflow: AirflowInstance) -> None:
    """Take the page "VideoDB" on a screen and on a phone."""
    log_in_as(page, airflow, "op")
    open_credits_page(page, airflow)
    fit_window(page, width=1280)
    page.screenshot(path=DOCS / "credits-page.png")
    page.set_viewport_size({"width": 390, "height": 844})
    open_credits_page(page, airflow, theme="dark")
    page.screenshot(path=DOCS / "credits-page-phone.png")


def take_approval(page: Page, scene: PageEnvironment) -> None:
    """Take the request to approve a purchase."""
    draw_approval_line(scene, above=10)
    # Too few for the job, and near enough for the connection's limit on one purchase.
    scene.emulator.set_balance(80)
    run = scene.airflow.api.trigger("ensure_credits")
    run.wait_for_task("ensure_credits", "awaiting_input")
    page.set_viewport_size({"width": 1280, "height": 800})
    show_approval(page, scene.airflow, run, "ensure_credits")
    page.screenshot(path=DOCS / "approval.png")


if __name__ == "__main__":
    sys.exit(main())
