"""What Slack and Markdown get, sign by sign."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_videodb.notifications import _formats as formats
from airflow_provider_videodb.notifications._message import Link, Message

PAY = Link(label="Pay 50 USD", url="https://pay.example/cs_(1)")
TASK = Link(label="Open the task in Airflow", url="https://airflow.example/task?a=1&b=2")
MESSAGE = Message(
    subject="Please pay (my_dag)",
    title="Please pay",
    paragraphs=("a < b & c > d",),
    facts=(("Run", "manual__`1`"),),
    button=PAY,
    task=TASK,
)
PAY_IN_SLACK = "<https://pay.example/cs_(1)|Pay 50 USD>"
TASK_IN_SLACK = "<https://airflow.example/task?a=1&amp;b=2|Open the task in Airflow>"


def markup(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def test_slack_shows_title_text_facts_and_task_in_this_order() -> None:
    assert formats.as_slack_blocks(MESSAGE) == [
        {"type": "header", "text": {"type": "plain_text", "text": "Please pay"}},
        {"type": "section", "text": markup(f"a &lt; b &amp; c &gt; d\n*{PAY_IN_SLACK}*")},
        {"type": "section", "fields": [markup("*Run*\n`manual__'1'`")]},
        {"type": "section", "text": markup(TASK_IN_SLACK)},
    ]
    assert formats.as_slack_text(MESSAGE) == (f"*Please pay*\na &lt; b &amp; c &gt; d\n{PAY_IN_SLACK}\n{TASK_IN_SLACK}")


def test_slack_shows_no_link_that_is_not_there() -> None:
    blocks = formats.as_slack_blocks(replace(MESSAGE, button=None, task=None))

    assert blocks is not None
    assert [block["type"] for block in blocks] == ["header", "section", "section"]
    assert blocks[1]["text"] == markup("a &lt; b &amp; c &gt; d")


@pytest.mark.parametrize(("length", "fits"), [(3000, True), (3001, False)])
def test_slack_refuses_a_longer_text_in_a_block(length: int, fits: bool) -> None:
    message = replace(MESSAGE, paragraphs=("x" * length,), button=None)

    assert (formats.as_slack_blocks(message) is not None) is fits


def test_slack_refuses_a_longer_header_and_more_fields() -> None:
    message = replace(MESSAGE, title="x" * 200, facts=(("Name", "value"),) * 11)
    blocks = formats.as_slack_blocks(message)

    assert blocks is not None
    assert len(blocks[0]["text"]["text"]) == 150
    assert len(blocks[2]["fields"]) == 10


def test_markdown_is_escaped_and_its_links_end_where_they_should() -> None:
    said = replace(MESSAGE, paragraphs=("# *a* < b",))

    assert formats.as_markdown(said) == (
        "\\# \\*a\\* &lt; b\n\n- Run: **manual\\_\\_\\`1\\`**\n\n[Pay 50 USD](https://pay.example/cs_%281%29)\n\n"
        "[Open the task in Airflow](https://airflow.example/task?a=1&b=2)"
    )


@pytest.mark.parametrize("with_title", [True, False])
def test_plain_text_has_the_title_if_nothing_else_has(with_title: bool) -> None:
    text = formats.as_plain(MESSAGE, with_title=with_title)

    assert text.startswith("Please pay\n\n" if with_title else "a < b & c > d\n\nRun: manual__`1`\n\nPay 50 USD: https")
