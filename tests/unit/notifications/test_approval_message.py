"""What the messages about an approval say."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_videodb.notifications._message import Link, message_of
from airflow_provider_videodb.purchases.rules.approval_texts import ApprovalEvent, ApprovalRequest
from airflow_provider_videodb.version_compat import LISTED_REQUESTS_FIT_A_PHONE

PAGE = "https://airflow.example/dags/my_dag/required_actions"
REQUEST = ApprovalRequest(
    amount=50,
    currency="usd",
    reason="53 credits are needed.",
    rule="approval of this task is True",
    month="20 USD are paid.",
    asked_by=("my_dag", "manual__1", "top_up", None),
    respond_by="2026-11-26T08:30:00+01:00",
    approvers=("ada", "grace"),
    url=PAGE,
)
ON_A_PHONE = (
    ("On a phone, open 'The request in a list' below, and tap the symbol beside the request.",)
    if LISTED_REQUESTS_FIT_A_PHONE
    else ()
)
FAILED = replace(REQUEST, event=ApprovalEvent.FAILED, note="ada refused it.\nNext step: clear this task.")


def test_request_says_why_until_when_and_who_may_respond() -> None:
    message = message_of(REQUEST)

    assert message.subject == "Please approve 50 USD for VideoDB credits (my_dag)"
    assert message.paragraphs == (
        "The task top_up of the DAG my_dag asks before it buys. Nothing has been bought yet.",
        "53 credits are needed.",
        "20 USD are paid.",
        "You are asked because approval of this task is True.",
        "Only these users may respond: ada, grace.",
        *ON_A_PHONE,
    )
    assert dict(message.facts)["Respond by"] == "2026-11-26 07:30 UTC"
    assert message.button == Link(label="Approve or refuse", url=PAGE)


def test_request_to_everybody_names_nobody() -> None:
    message = message_of(replace(REQUEST, approvers=()))

    assert "Only these users" not in " ".join(message.paragraphs)
    assert "You are asked because approval of this task is True." in message.paragraphs


def test_failure_says_what_to_do_and_offers_no_buttons() -> None:
    message = message_of(FAILED)

    assert message.title == "Not bought: 50 USD for VideoDB credits"
    assert message.paragraphs == (
        "The task top_up of the DAG my_dag has failed without this purchase.",
        "ada refused it.",
        "Next step: clear this task.",
    )
    assert dict(message.facts) == {"Amount": "50 USD", "DAG": "my_dag", "Run": "manual__1", "Task": "top_up"}
    assert (message.button, message.task) == (None, Link(label="Open the task in Airflow", url=PAGE))


def test_mapped_task_has_its_index() -> None:
    mapped = replace(REQUEST, asked_by=("my_dag", "manual__1", "top_up", 0))

    assert dict(message_of(mapped).facts)["Task"] == "top_up[0]"
