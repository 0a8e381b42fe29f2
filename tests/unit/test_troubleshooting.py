"""The page on troubleshooting has an entry for the first line of every error."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.api import failures
from airflow_provider_videodb.hooks import arguments
from tests.support.messages import Message, messages_of, package_messages
from tests.support.troubleshooting import PAGE, QUOTES, entries_for, heads

#: The line after every error. The page explains it above its entries.
_CONNECTION = "Connection: "
MESSAGES = sorted(
    (message for message in package_messages() if not message.text.startswith(_CONNECTION)),
    key=lambda message: message.where,
)


def described(head: str, messages: list[Message]) -> Message | None:
    """Return the message that fits a line best, because it has the most fixed words."""
    fitting = [one for one in messages if re.compile(one.pattern.pattern.translate(QUOTES)).fullmatch(head)]
    return max(fitting, key=lambda one: len(one.text), default=None)


def undescribed(lines: list[str], messages: list[Message]) -> list[str]:
    """Return the messages that no line describes, one of each place in the source."""
    found = {one.where for line in lines if (one := described(line, messages)) is not None}
    places: dict[str, str] = defaultdict(str)
    for message in messages:
        places[message.where] = message.text
    return [f"{where}: {text}" for where, text in places.items() if where not in found]


def test_every_message_has_an_entry() -> None:
    assert undescribed(heads(), MESSAGES) == []


@pytest.mark.parametrize("head", heads())
def test_entry_describes_a_message(head: str) -> None:
    assert described(head, MESSAGES) is not None


def test_no_entry_is_there_twice() -> None:
    assert len(set(heads())) == len(heads())


@pytest.mark.parametrize("name", [name for name in vars(exceptions) if re.fullmatch(r"VideoDB\w+Error", name)])
def test_table_names_each_class(name: str) -> None:
    if name not in {"VideoDBAPIError", "VideoDBPurchaseError"}:
        assert f"`{name}`" in PAGE.split("\n## ")[0]


@pytest.mark.parametrize("words", [words for _, words in failures._WORDS if isinstance(words, str)])
def test_cause_of_a_lost_connection_is_named(words: str) -> None:
    fixed = max(re.split(r"\{.*?\}|\d+", words), key=len).strip()
    assert fixed in " ".join(PAGE.split())


@pytest.mark.parametrize("read", [read for name, read in vars(arguments).items() if name.startswith("parse_")])
def test_rule_of_each_argument_has_an_entry(read: arguments.Reader) -> None:
    with pytest.raises(exceptions.VideoDBConfigError) as caught:
        read("ARGUMENT", object())
    rule = str(caught.value).partition("it must be ")[2].partition(". Nothing was sent.")[0]
    assert f"ARGUMENT is VALUE; it must be {rule}.".translate(QUOTES) in heads()


SOURCE = """
class Hook:
    def read(self, name):
        why = "is missing" if name else "is empty"
        if name:
            raise VideoDBConfigError(f"{name} {why}. Nothing was sent. Next step: add it.")
        self.log.warning("The hook %s goes on.", name)
        self.log.warning("It is a second line.")
        raise VideoDBError(broken_text(name))
"""


def test_message_is_found_in_each_spelling() -> None:
    found = {one.text for one in messages_of(SOURCE.replace("broken_text(name)", "'It is broken.'"), "x.py")}
    assert found == {"\0 is missing.", "\0 is empty.", "The hook \0 goes on.", "It is broken."}


def test_text_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"x\.py:9: the text of VideoDBError cannot be read"):
        list(messages_of(SOURCE, "x.py"))


def test_message_without_an_entry_is_noticed() -> None:
    new = Message("The moon is \0 today.", "x.py:1")
    assert undescribed(heads(), [new]) == ["x.py:1: The moon is \0 today."]


def test_entry_without_a_message_is_noticed() -> None:
    assert described("The moon is ROUND today.", MESSAGES) is None


def test_search_finds_the_entry_of_a_printed_line() -> None:
    [entry] = entries_for("Nobody paid checkout cs_42 for 50 USD within 24 h (payment_timeout).")
    assert entry.startswith("Nobody paid checkout CHECKOUT_ID")


def test_search_for_a_line_of_others_finds_nothing() -> None:
    assert entries_for("The moon is round today.") == []
