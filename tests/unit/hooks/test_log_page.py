"""An error text in lines. `tests/live/test_log_page.py` shows them on the page."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.hooks.log_page import lines_of, log_error
from tests.support.messages import log_formats

LONG_LINK = f"https://pay.example/{'x' * 100}"
LONG_COMMAND = f"airflow variables set videodb_resolution_{'0' * 60} cs_1"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("It failed.", ["It failed."]),
        ("", []),
        ("It failed. Next step: retry.", ["It failed.", "Next step: retry."]),
        ("It is one of these:\ncs_1\n\ncs_2", ["It is one of these:", "cs_1", "cs_2"]),
        ("Pay here: https://x.example/a-b.c. Then retry.", ["Pay here:", "https://x.example/a-b.c", "Then retry."]),
        (f"The link is open: {LONG_LINK}. Retry.", ["The link is open:", LONG_LINK, "Retry."]),
        ("GET https://x.example/usage failed.", ["GET https://x.example/usage failed."]),
        (f"Run one:\n{LONG_COMMAND}\n{LONG_COMMAND}", ["Run one:", LONG_COMMAND, LONG_COMMAND]),
        (f"Either run `{LONG_COMMAND}` or retry.", ["Either run", LONG_COMMAND, "or retry."]),
        ("The field `amount` is missing.", ["The field `amount` is missing."]),
    ],
)
def test_line_begins_at_breaks_next_steps_links_and_commands(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_line_of_prose_has_at_most_75_characters() -> None:
    words = [f"word-{number}" for number in range(200)]
    lines = lines_of(" ".join(words))
    assert max(map(len, lines)) <= 75
    assert " ".join(lines).split() == words


def test_number_stays_with_its_unit() -> None:
    assert lines_of(f"{'x' * 73} 20 USD") == ["x" * 73, "20 USD"]


def test_error_is_logged_line_by_line_with_its_connection() -> None:
    logged: list[str] = []

    class Log:
        def error(self, message: str, *values: Any) -> None:
            logged.append(message % values)

    log: Any = Log()
    log_error(log, ValueError("100% wrong. Next step: retry."), conn_id="videodb_default")
    log_error(log, ValueError("Wrong."), conn_id=None)
    assert logged == ["100% wrong.", "Next step: retry.", "Connection: videodb_default", "Wrong."]


def test_no_log_line_is_longer_than_the_page_is_wide() -> None:
    formats = list(log_formats())
    assert "Pay %s here: %s" in formats
    assert [line for line in formats if len(line) > 75] == []
