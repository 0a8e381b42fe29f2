"""What a person sees: Airflow's pages and the checkout page in a Chromium without a window."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

    from dev.airflow.api import DagRun
    from dev.airflow.instance import AirflowInstance

# "Pay 20 USD" for a literal amount, "Pay for credits" for others.
BUTTON = re.compile("^Pay ")

# Nothing of the browser's own calls home, and root, as which CI runs, may start it.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Return where this machine has a Chromium: the package manager's, since downloads of one's own fail in CI."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def open_page(chromium: str) -> Iterator[Page]:
    """Open one page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 1000})
        finally:
            browser.close()


def show_connection_form(page: Page, airflow: AirflowInstance, conn_id: str) -> None:
    """Open the form of a new connection of type VideoDB."""
    page.goto(f"{airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    page.locator("input[name=connection_id]").fill(conn_id)
    page.get_by_role("combobox").last.click()
    page.get_by_role("option", name="VideoDB", exact=True).click()
    page.locator("input[name=password]").wait_for()
    come_to_rest(page)


def show_extra_fields(page: Page) -> None:
    """Unfold the part of the open form that holds this provider's own fields."""
    page.get_by_role("button", name="Extra Fields", exact=True).click()
    page.locator("input[name=element_monthly_topup_limit]").wait_for()
    come_to_rest(page)


def show_pay_button(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> Locator:
    """Open the page of a waiting task where the button is, and return the button."""
    open_details(page, airflow, run, task_id)
    return page.get_by_role("link", name=BUTTON)


def open_details(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> None:
    """Open the page of a task that has its buttons, if it has any."""
    with page.expect_response(lambda response: urlsplit(response.url).path.endswith(f"/{task_id}/links")):
        page.goto(f"{airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}/details")
    page.get_by_text("Extra Links").wait_for()
    come_to_rest(page)


def come_to_rest(page: Page) -> None:
    """Wait for the end of what moves on the page, but for what moves for ever."""
    page.evaluate("""Promise.all(
        document.getAnimations()
            .filter(animation => animation.effect.getComputedTiming().endTime !== Infinity)
            .map(animation => animation.finished.catch(() => {}))
    )""")


@dataclass(frozen=True)
class LogLine:
    """
    One line of the log page.

    :param hidden_pixels: how much of the line lies to the right of what the page shows without scrolling.
    """

    text: str
    hidden_pixels: float


@dataclass(frozen=True)
class LogPage:
    """What the log page shows of a failure: the lines logged as errors, and the exceptions below them."""

    errors: list[LogLine]
    exceptions: list[str]


def read_log_page(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> LogPage:
    """Open the log of a task that failed, unscrolled, and read it as it is rendered."""
    page.goto(f"{airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}")
    log = page.get_by_test_id("virtual-scroll-container")
    log.get_by_text("Task failed with exception").first.wait_for()
    come_to_rest(page)
    errors = log.locator('[data-testid^="virtualized-item"]').evaluate_all("""lines => lines
        .filter(line => line.querySelector("code")?.textContent === "ERROR" && !line.querySelector("details"))
        .map(line => {
            const event = line.querySelector(".event");
            const page = line.closest('[data-testid="virtual-scroll-container"]');
            const range = document.createRange();
            range.selectNodeContents(event);
            const shown = Math.min(innerWidth, page.getBoundingClientRect().right);
            return [event.textContent, range.getBoundingClientRect().right - shown];
        })""")
    exceptions = log.locator("details summary").all_inner_texts()
    return LogPage([LogLine(text, hidden) for text, hidden in errors], exceptions)
