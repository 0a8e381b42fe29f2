"""What the messages about a payment say, in each format, whatever a server sent."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.notifications import _formats as formats
from airflow_provider_videodb.notifications._fields import filled_fields
from airflow_provider_videodb.notifications._message import message_of
from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from airflow_provider_videodb.purchases.rules.approval_texts import ApprovalEvent, ApprovalRequest
from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentEvent, PaymentRequest

LINK = "https://pay.example/cs_1"
PAYMENT: dict[str, Any] = {
    "url": LINK,
    "amount": 50,
    "currency": "usd",
    "checkout_id": "cs_1",
    "credits_missing": 47.5,
    "credits_needed": 1200,
    "credits_available": 2.5,
    "expires_at": "2026-01-16T12:00:00+00:00",
    "run_url": "https://airflow.example/dags/dag/runs/run/tasks/task",
    "dag_id": "my_dag",
    "run_id": "manual__1",
    "task_id": "top_up",
}
HOSTILE = '"><script>alert(1)</script>{{ conn.secret }}<!channel>|*_`]('


def message(**differs: Any) -> Any:
    return message_of(PaymentRequest(**PAYMENT | differs))


class Text(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text: str = "This is a default message") -> None:
        super().__init__()
        self.text = text
        self.sent: list[str] = []

    def notify(self, context: Any) -> None:
        self.sent.append(self.text)


class Apprise(BaseNotifier):
    def __init__(self, body: str, title: str | None = None, body_format: str = "text") -> None:
        super().__init__()
        self.body, self.title, self.body_format = body, title, body_format


class Silent(BaseNotifier):
    pass


def test_plain_text_has_every_fact_and_link() -> None:
    text = formats.as_plain(message(), with_title=True)

    for part in ("50 USD", "1,200", "2.5", "47.5", "2026-01-16 12:00 UTC", "my_dag", "manual__1", "top_up"):
        assert part in text
    assert f"Pay 50 USD: {LINK}" in text


@pytest.mark.parametrize("event", PaymentEvent)
def test_only_an_open_payment_has_its_link(event: PaymentEvent) -> None:
    is_open = event in ("requested", "reminder", "failed")

    assert (message(event=event).button is not None) == is_open
    assert (LINK in formats.as_html(message(event=event))) == is_open


@pytest.mark.parametrize("field", ["dag_id", "run_id", "task_id", "checkout_id", "note", "currency"])
def test_no_value_becomes_markup(field: str) -> None:
    said = message(**{field: HOSTILE})
    slack = repr(formats.as_slack_blocks(said)) + formats.as_slack_text(said)

    assert "<script" not in formats.as_html(said)
    assert "<script" not in formats.as_markdown(said)
    assert "<!channel>" not in slack
    for text in (formats.as_html(said), formats.as_plain(said, with_title=True), slack):
        assert "{{" not in text


@pytest.mark.parametrize("sign", ["<", ">", '"', "'", "|", "{", "@", "`", "^"])
def test_link_carries_no_sign_of_a_markup(sign: str) -> None:
    said = message(url=f"{LINK}?a={sign}b")

    assert said.button.url == f"{LINK}?a=%{ord(sign):02X}b"


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://user@evil.example/"])
def test_doubtful_address_is_no_link(url: str) -> None:
    assert message(url=url, run_url=url).links == ()


def test_subject_is_one_short_line() -> None:
    subject = message(dag_id="dag\r\nBcc: all@example.com" + "x" * 300).subject

    assert len(subject) == 100
    assert subject.isprintable()


def test_link_too_long_for_blocks_is_in_the_text_of_slack() -> None:
    said = message(url=LINK + "x" * 3000)

    assert formats.as_slack_blocks(said) is None
    assert "xxx|Pay 50 USD>" in formats.as_slack_text(said)


@pytest.mark.parametrize(
    ("body_format", "part"),
    [("text", "Pay 50 USD: https"), ("html", '<a class="button"'), ("markdown", "[Pay 50 USD](https")],
)
def test_body_has_the_format_that_the_notifier_names(body_format: str, part: str) -> None:
    fields = filled_fields(Apprise("", body_format=body_format), message())

    assert part in fields["body"]
    assert fields["title"] == message().subject


def test_title_without_a_field_is_in_the_text() -> None:
    assert filled_fields(Text(), message())["text"].startswith(message().title)


@pytest.mark.parametrize(
    ("notifier", "error"),
    [
        (Silent(), "cannot write the message of Silent"),
        (Text("Please pay {{ task.payment_url }}"), "text of Text is set already"),
        ("slack", "got 'slack', which is not a notifier"),
        (PaymentRequestNotifier(Text()), "which is not a notifier"),
    ],
    ids=["no-field", "text-is-set", "text", "wrapped"],
)
def test_notifier_without_room_for_a_message_fails_at_parse_time(notifier: Any, error: str) -> None:
    with pytest.raises(VideoDBConfigError, match=error):
        PaymentRequestNotifier(notifier)


def test_message_is_no_template_and_leaves_the_shared_notifier_alone() -> None:
    class Task:
        task_id = "top_up"
        payment = PaymentRequest(**PAYMENT | {"note": "{ { 1 + 1 }} {% raw %}"})

    inside = Text()
    PaymentRequestNotifier(inside)({"task": Task()})  # type: ignore[arg-type]

    assert "{ { 1 + 1 }}" in inside.sent[0]
    assert inside.text == "This is a default message"


def test_callback_of_another_task_is_an_error() -> None:
    class Task:
        task_id = "other"

    with pytest.raises(VideoDBConfigError, match="was called for task other"):
        PaymentRequestNotifier(Text())({"task": Task()})  # type: ignore[arg-type]


def approval(**differs: Any) -> Any:
    asked_by = ("my_dag", "manual__1", "buy", None)
    url = "https://airflow.example/dags/airflow/dags/my_dag/runs/manual__1/tasks/buy/required_actions"
    fields: dict[str, Any] = {"amount": 50, "currency": "usd", "reason": "", "rule": "x", "month": "", "approvers": ()}
    fields |= {"asked_by": asked_by, "respond_by": "2026-01-16T12:00:00+00:00", "url": url}
    return message_of(ApprovalRequest(**fields | differs))


def test_approver_with_a_phone_gets_a_list_whose_requests_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.notifications._message.LISTED_REQUESTS_FIT_A_PHONE", True)
    said = approval(asked_by=("my_dag", "manual__1", "buy&sell", 3))

    assert said.button.url.endswith("/tasks/buy/required_actions")
    assert said.task.url == (
        "https://airflow.example/dags/airflow/required_actions"
        "?response_received=false&subject_search=Approve+50+USD+for+VideoDB+credits%3F&task_id_pattern=buy%26sell"
    )
    assert f"On a phone, open '{said.task.label}' below, and tap the symbol beside the request." in said.paragraphs


def test_list_is_not_offered_where_it_opens_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.notifications._message.LISTED_REQUESTS_FIT_A_PHONE", False)
    said = approval()

    assert said.task is None
    assert not any("phone" in paragraph for paragraph in said.paragraphs)


def test_failed_approval_leads_to_the_task() -> None:
    said = approval(event=ApprovalEvent.FAILED, note="Nobody approved it.")

    assert said.button is None
    assert said.task.label == "Open the task in Airflow"
    assert not any("phone" in paragraph for paragraph in said.paragraphs)
