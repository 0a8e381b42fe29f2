"""Take the README's pictures from a running Airflow: `python -m dev.demo.screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from dev.demo.browser import (
    find_chromium,
    open_page,
    show_connection_form,
    show_extra_fields,
    show_pay_button,
    show_required_action,
)
from dev.demo.console import say
from dev.demo.environment import DAG_ID, environment
from dev.demo.observer import GATE_TASK

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
    return 0


if __name__ == "__main__":
    sys.exit(main())
