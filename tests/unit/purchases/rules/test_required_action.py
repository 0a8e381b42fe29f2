"""What a person reads in Required Actions, and what a response means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseError, is_permanent
from airflow_provider_videodb.purchases.rules.required_action import (
    CANCEL,
    Response,
    Shortage,
    in_markdown,
    payment_action,
    read_response,
    refused_error,
)
from tests.support.checkouts import LINK, made

TASK = "http://localhost:8080/dags/dag/runs/run/tasks/task?try_number=1"
SHORTAGE = Shortage(needed=Decimal("1200.50"), available=Decimal(200), missing=Decimal("1000.50"))
JANE = {"id": "7", "name": "Jane"}


def body_of(**fields: Any) -> str:
    return payment_action(made(**fields), shortage=SHORTAGE, task_url=TASK).body


def test_text_says_amount_reason_expiry_and_link():
    action = payment_action(made(), shortage=SHORTAGE, task_url=TASK)

    assert (action.subject, action.options) == ("Pay 50 USD for VideoDB credits", ("Cancel",))
    assert action.body.splitlines() == [
        f"**[Pay 50 USD](<{LINK}>)**",
        "",
        "**1,200.50** credits are needed and **200** are available, so **1,000.50** are missing.",
        "",
        "The link expires at **2026-01-16 12:00:00 UTC**.",
        "",
        "The task continues automatically after the payment. *Cancel* refuses the payment and fails the task.",
        "",
        f"This text never changes. If a retry makes a newer link, it is in the log of [the task](<{TASK}>).",
    ]


def test_task_without_a_need_gives_no_reason():
    body = payment_action(made(), shortage=None, task_url=TASK).body

    assert "credits are needed" not in body
    assert "Pay 50 USD" in body


def test_unknown_age_leaves_the_expiry_out():
    assert "expires" not in body_of(posts=())


def test_currency_cannot_become_markup():
    body = body_of(currency="usd](https://evil.example) <b>\n# x")

    assert body.splitlines()[0] == (
        r"**[Pay 50 USD\]\(HTTPS\:\/\/EVIL\.EXAMPLE\) \<B\> \# X](<https://pay.example/cs_1>)**"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://pay.example/a)b", "<https://pay.example/a)b>"),
        ("https://pay.example/a>b<c", "<https://pay.example/a%3Eb%3Cc>"),
        ("https://pay.example/a\\b\nc", "<https://pay.example/a%5Cb%0Ac>"),
    ],
)
def test_address_cannot_end_the_link(url: str, shown: str):
    assert f"]({shown})" in body_of(payment_url=url)


@pytest.mark.parametrize("text", ["a_b*c", "`x`", "www.evil.example", "a@b.example", "<img src=x>", "1. x", "a\n\nb"])
def test_escaped_text_has_no_bare_markup(text: str):
    escaped = in_markdown(text)

    assert "\n" not in escaped
    assert escaped.replace("\\", "") == " ".join(text.split())
    assert not [place for place, sign in enumerate(escaped) if sign in "_*`<>.@" and escaped[place - 1] != "\\"]


def test_text_is_current_while_its_link_is():
    first = payment_action(made(), shortage=SHORTAGE, task_url=TASK)
    other_balance = payment_action(made(), shortage=None, task_url=TASK)
    next_checkout = payment_action(made(payment_url="https://pay.example/cs_2"), shortage=None, task_url=TASK)

    assert other_balance.is_shown_by(body=first.body, options=["Cancel"])
    assert not next_checkout.is_shown_by(body=first.body, options=["Cancel"])
    assert not first.is_shown_by(body=first.body, options=["Approve", "Refuse"])
    assert not first.is_shown_by(body=None, options=["Cancel"])


@pytest.mark.parametrize(
    ("user", "by"),
    [
        (JANE, "Jane (id 7)"),
        ({"id": "jane", "name": "jane"}, "jane"),
        ({"id": "7", "name": ""}, "7"),
        ({"id": None, "name": "Jane\nError: x"}, "Jane Error: x"),
        ({"id": "7" * 200, "name": ""}, "7" * 100),
        ({}, "Somebody"),
        (None, "Somebody"),
    ],
)
def test_response_names_the_person(user: Any, by: str):
    event = {"chosen_options": ["Cancel"], "params_input": {}, "responded_by_user": user, "timedout": False}

    assert read_response(event) == Response(chosen=("Cancel",), by=by)


@pytest.mark.parametrize("event", [None, 5, "Cancel", [], {}, {"status": "paid"}, {"error": "x"}], ids=str)
def test_event_of_a_trigger_is_not_a_response(event: Any):
    assert read_response(event) is None


@pytest.mark.parametrize(
    "event",
    [
        {"chosen_options": []},
        {"chosen_options": None},
        {"chosen_options": "Cancel"},
        {"chosen_options": [1]},
        {"chosen_options": ["Cancel"], "status": "paid"},
        {"chosen_options": ["Cancel"], "error": "timeout"},
    ],
    ids=str,
)
def test_unclear_response_is_an_error(event: Any):
    with pytest.raises(VideoDBPurchaseError, match="as a person's response"):
        read_response(event)


@pytest.mark.parametrize(
    ("fields", "is_checked", "left_open"),
    [
        ({}, True, "Its link may still be payable until 2026-01-16 12:00:00 UTC, because VideoDB cannot cancel it."),
        ({"posts": ()}, True, "Its link may still be payable until it expires, because VideoDB cannot cancel it."),
        ({"link_shared": False}, True, "Nobody has a link to pay it."),
        ({"link_shared": False}, False, "pay it. VideoDB could not be asked whether it is paid."),
    ],
)
def test_refusal_says_who_and_what_is_left_open(fields: Any, is_checked: bool, left_open: str):
    purchase = made(**({"link_shared": True} | fields))

    error = refused_error(purchase, Response(chosen=(CANCEL,), by="Jane (id 7)"), is_checked=is_checked)

    assert str(error).startswith("Jane (id 7) refused the payment of 50 USD, so the task ended.")
    assert left_open in str(error)
    assert "Next step: to pay after all, clear this task." in str(error)
    assert LINK not in str(error)
    assert is_permanent(error)


def test_refusal_without_a_record_claims_nothing():
    error = refused_error(None, Response(chosen=(CANCEL,), by="Jane"), is_checked=True)

    assert str(error).startswith("Jane refused the payment, so the task ended. Nothing more was bought. Next step:")
