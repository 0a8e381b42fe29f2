"""Opens Airflow's pages in a headless Chromium."""

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

#: The button is called "Pay 20 USD" if the amount is a literal, and "Pay for credits" if not.
BUTTON = re.compile("^Pay ")

# These stop the browser's background requests. CI runs as root, which needs --no-sandbox.
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
    """Return the path of the installed Chromium, because CI cannot download one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def open_page(chromium: str) -> Iterator[Page]:
    """Start the browser and open an empty page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 1000})
        finally:
            browser.close()


def log_in(page: Page, airflow: AirflowInstance) -> None:
    """
    Get the admin's cookie.

    Without it, Airflow below 3.3 shows its first page instead of the requested one.
    """
    if not page.context.cookies(airflow.url):
        page.goto(f"{airflow.url}/auth/token/login")


def show_connection_form(page: Page, airflow: AirflowInstance, conn_id: str) -> None:
    """Open the form for a new VideoDB connection."""
    log_in(page, airflow)
    page.goto(f"{airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    page.locator("input[name=connection_id]").fill(conn_id)
    page.get_by_role("combobox").last.click()
    page.get_by_role("option", name="VideoDB", exact=True).click()
    page.locator("input[name=password]").wait_for()
    wait_for_animations(page)


def show_extra_fields(page: Page) -> None:
    """Unfold the fields of this provider in the open form."""
    page.get_by_role("button", name="Extra Fields", exact=True).click()
    page.locator("input[name=element_monthly_topup_limit]").wait_for()
    wait_for_animations(page)


def type_extra(page: Page, extra: str) -> None:
    """
    Type the extra into the open form.

    Before Airflow 3.2, the extra is one field of JSON.
    """
    page.get_by_role("button", name="Extra Fields JSON", exact=True).click()
    editor = page.get_by_role("textbox").last
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(extra)
    # The form takes the text over when the editor loses the focus.
    page.locator("input[name=connection_id]").focus()
    wait_for_animations(page)


def show_pay_button(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> Locator:
    """Open the details of a waiting task and return its button."""
    open_details(page, airflow, run, task_id)
    return page.get_by_role("link", name=BUTTON)


def open_details(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> None:
    """Open the details of a task and wait for its buttons."""
    log_in(page, airflow)
    with page.expect_response(lambda response: urlsplit(response.url).path.endswith(f"/{task_id}/links")):
        page.goto(f"{airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}/details")
    page.get_by_text("Extra Links").wait_for()
    wait_for_animations(page)


def show_required_action(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> None:
    """Open what a waiting task asks of people."""
    _show_request(page, airflow, run, task_id, page.get_by_role("button", name="Cancel", exact=True))


def show_approval(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> None:
    """Open the request of a task to approve its purchase."""
    _show_request(page, airflow, run, task_id, page.get_by_role("button", name=re.compile("^Approve [^?]+$")))


def _show_request(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str, button: Locator) -> None:
    log_in(page, airflow)
    page.goto(f"{airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}/required_actions")
    button.wait_for()
    wait_for_animations(page)


def wait_for_animations(page: Page) -> None:
    """Wait until every animation that ends has ended."""
    page.evaluate("""Promise.all(
        document.getAnimations()
            .filter(animation => animation.effect.getComputedTiming().endTime !== Infinity)
            .map(animation => animation.finished.catch(() => {}))
    )""")


@dataclass(frozen=True)
class LogLine:
    """
    One line of the log page.

    :param hidden_pixels: how far the line extends beyond the visible part of the page.
    """

    text: str
    hidden_pixels: float


@dataclass(frozen=True)
class LogPage:
    """A failure on the log page: logged errors, then exceptions."""

    errors: list[LogLine]
    exceptions: list[str]


def read_log_page(page: Page, airflow: AirflowInstance, run: DagRun, task_id: str) -> LogPage:
    """Open the log of a failed task and read the rendered lines."""
    log_in(page, airflow)
    page.goto(f"{airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}")
    # Airflow 3.1.3 has no container around the list.
    log = page.locator("[data-testid=virtual-scroll-container], [data-testid=virtualized-list]").first
    log.get_by_text("Task failed with exception").first.wait_for()
    wait_for_animations(page)
    errors = log.locator('[data-testid^="virtualized-item"]').evaluate_all("""lines => lines
        .filter(line => line.querySelector("code")?.textContent === "ERROR" && !line.querySelector("details"))
        .map(line => {
            // Airflow 3.1 has no class for the text, which is its second piece of code.
            const event = line.querySelector(".event") ?? line.querySelectorAll("code")[1];
            const page = line.closest("[data-testid=virtual-scroll-container]")
                ?? line.closest("[data-testid=virtualized-list]").parentElement;
            const range = document.createRange();
            range.selectNodeContents(event);
            const shown = Math.min(innerWidth, page.getBoundingClientRect().right);
            return [event.textContent, range.getBoundingClientRect().right - shown];
        })""")
    # Airflow 3.1 folds the sources of the log too.
    folded = log.locator("details summary").all_inner_texts()
    exceptions = [text for text in folded if not text.startswith("Log message source details")]
    return LogPage([LogLine(text, hidden) for text, hidden in errors], exceptions)
