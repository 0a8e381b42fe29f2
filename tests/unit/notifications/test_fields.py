"""Which fields of a notifier carry a message. Real notifiers of Airflow's providers are in the integration tests."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.notifications import _formats as formats
from airflow_provider_videodb.notifications._fields import body_fields, filled_fields, is_unset
from airflow_provider_videodb.notifications._message import message_of
from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentRequest

PAYMENT: dict[str, Any] = {
    "url": "https://pay.example/cs_1",
    "amount": 50,
    "currency": "usd",
    "checkout_id": "cs_1",
    "credits_missing": None,
    "expires_at": None,
    "run_url": "https://airflow.example/dags/dag",
}
MESSAGE = message_of(PaymentRequest(**PAYMENT))


class Mail(BaseNotifier):
    def __init__(self, subject: str | None = None, html_content: str | None = None) -> None:
        super().__init__()
        self.subject, self.html_content = subject, html_content


class Chat(BaseNotifier):
    def __init__(self, text: str | None = "This is a default message", blocks: list[Any] | None = None) -> None:
        super().__init__()
        self.text, self.blocks = text, blocks


class Titled(Chat):
    def __init__(self, text: str = "", title: str = "", blocks: list[Any] | None = None) -> None:
        super().__init__(text, blocks)
        self.title = title


class Loose(BaseNotifier):
    """Takes its fields by name only, so that nothing says what their defaults are."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.message = fields["message"]


class Speaking(BaseNotifier):
    def message(self) -> None:
        """Say something."""


def test_mail_gets_a_subject_and_html() -> None:
    assert filled_fields(Mail(), MESSAGE) == {"subject": MESSAGE.subject, "html_content": formats.as_html(MESSAGE)}


def test_chat_gets_a_text_and_blocks() -> None:
    expected = {"text": formats.as_slack_text(MESSAGE), "blocks": formats.as_slack_blocks(MESSAGE)}

    assert filled_fields(Chat(), MESSAGE) == expected
    assert filled_fields(Titled(), MESSAGE) == {"title": MESSAGE.subject, **expected}


def test_chat_gets_only_a_text_if_the_link_is_too_long_for_blocks() -> None:
    long = message_of(PaymentRequest(**PAYMENT | {"url": "https://pay.example/" + "x" * 3000}))

    assert filled_fields(Chat(), long) == {"text": formats.as_slack_text(long)}


@pytest.mark.parametrize("notifier", [Mail(subject="Mine"), Titled(title="Mine")], ids=["subject", "title"])
def test_title_of_the_author_is_kept(notifier: BaseNotifier) -> None:
    assert not filled_fields(notifier, MESSAGE).keys() & {"subject", "title"}


@pytest.mark.parametrize("text", ["This is a default message", "", None])
def test_default_and_nothing_leave_room_for_the_message(text: str | None) -> None:
    assert is_unset(Chat(text), "text")


@pytest.mark.parametrize("notifier", [Loose(message="Mine"), Chat(blocks=[{"type": "divider"}])], ids=["loose", "chat"])
def test_body_of_the_author_is_not_overwritten(notifier: BaseNotifier) -> None:
    with pytest.raises(VideoDBConfigError, match="is set already"):
        body_fields(notifier)


def test_empty_field_without_a_known_default_is_filled() -> None:
    assert filled_fields(Loose(message=""), MESSAGE) == {"message": formats.as_plain(MESSAGE, with_title=True)}


def test_method_is_not_a_field() -> None:
    with pytest.raises(VideoDBConfigError, match="cannot write the message of Speaking"):
        body_fields(Speaking())
