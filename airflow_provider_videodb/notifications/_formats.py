"""Writes a message in each format. Pure."""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from jinja2 import Template

    from airflow_provider_videodb.notifications._message import Link, Message

#: Slack refuses a longer text in a block. A longer link is in the text only.
_LONGEST_SLACK_TEXT = 3000
#: Slack refuses a longer header.
_LONGEST_SLACK_HEADER = 150
#: Slack refuses more fields in one block.
_MOST_SLACK_FIELDS = 10
_MARKDOWN_MARKS = re.compile(r"([\\`*_\[\]|~]|^[#+-])")


def as_plain(message: Message, *, with_title: bool) -> str:
    """Return plain text with bare links."""
    return "\n\n".join(
        [
            *([message.title] if with_title else []),
            *message.paragraphs,
            "\n".join(f"{name}: {value}" for name, value in message.facts),
            *(f"{link.label}: {link.url}" for link in message.links),
        ]
    )


def as_html(message: Message) -> str:
    """Return a complete HTML page for a mail."""
    return _template().render(message=message)


def as_markdown(message: Message) -> str:
    """Return Markdown without a title."""
    facts = "\n".join(f"- {name}: **{_markdown(value)}**" for name, value in message.facts)
    links = (f"[{_markdown(link.label)}]({_parenthesized(link.url)})" for link in message.links)
    return "\n\n".join([*map(_markdown, message.paragraphs), facts, *links])


def as_slack_text(message: Message) -> str:
    """Return Slack's text, which its notifications show."""
    links = map(_slack_link, message.links)
    return "\n".join([f"*{_slack(message.title)}*", *map(_slack, message.paragraphs), *links])


def as_slack_blocks(message: Message) -> list[dict[str, Any]] | None:
    """
    Return Slack's blocks.

    :return: ``None`` if the message is too long for them.
    """
    button = [] if message.button is None else [f"*{_slack_link(message.button)}*"]
    texts = ["\n".join([*map(_slack, message.paragraphs), *button])]
    if message.task is not None:
        texts.append(_slack_link(message.task))
    if any(len(text) > _LONGEST_SLACK_TEXT for text in texts):
        return None
    first, *rest = ({"type": "section", "text": _slack_markup(text)} for text in texts)
    # A value is code, because Slack would read the underscores of an id as italics.
    fields = [_slack_markup(f"*{name}*\n`{_slack(value).replace('`', chr(39))}`") for name, value in message.facts]
    return [
        {"type": "header", "text": {"type": "plain_text", "text": message.title[:_LONGEST_SLACK_HEADER]}},
        first,
        {"type": "section", "fields": fields[:_MOST_SLACK_FIELDS]},
        *rest,
    ]


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("mail.html")


def _slack_markup(text: str) -> dict[str, Any]:
    # Without `verbatim`, Slack would make a channel of a word that begins with #.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_link(link: Link) -> str:
    return f"<{_slack(link.url)}|{_slack(link.label)}>"


def _markdown(text: str) -> str:
    # Many services read HTML inside Markdown.
    return _MARKDOWN_MARKS.sub(r"\\\1", html.escape(text, quote=False))


def _parenthesized(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29")
