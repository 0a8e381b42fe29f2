"""What a person reads before an approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_videodb.purchases.rules.approval_record import Ask
from airflow_provider_videodb.purchases.rules.approval_texts import (
    ApprovalRequest,
    describe_month,
    describe_shortage,
)
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.required_action import Shortage
from tests.support.limit_checks import NOW, checkout

ASK = Ask(amount=50, currency=None, at=NOW.isoformat(), until="2024-02-16T12:00:00+00:00", max_tries=0)
REQUEST = ApprovalRequest(
    amount=50,
    currency="usd",
    reason="50 credits are *missing*.",
    rule="this task asks before each purchase (approval=True)",
    month="0 USD are paid.",
    asked_by=("etl_daily", "manual__1", "buy", None),
    respond_by=ASK.until,
    approvers=(),
    url="http://airflow.example/required_actions",
)


def month(entries: list[Any], **limits: Any) -> str:
    return describe_month(SpendLimits(**limits), checkouts=entries, now=NOW)


def test_request_names_its_amount() -> None:
    assert (REQUEST.price, REQUEST.subject) == ("50 USD", "Approve 50 USD for VideoDB credits?")


def test_body_says_what_is_asked_and_by_which_task() -> None:
    assert REQUEST.body(ASK, now=datetime(2024, 2, 15, 12, tzinfo=UTC)).splitlines() == [
        "Nothing has been bought yet.",
        "",
        "- Amount: **50 USD**",
        r"- Reason: 50 credits are \*missing\*\.",
        r"- This month: 0 USD are paid\.",
        r"- Asked by: DAG etl\_daily, run manual\_\_1, task buy",
        r"- Why you are asked: this task asks before each purchase \(approval=True\)",
        "- Respond by: 2024-02-16 12:00:00 UTC",
        "",
        (
            "**Approve 50 USD** makes one payment link for at most 50 USD. An account with a stored card is charged at "
            "once. **Refuse**, or no response in time, fails the task without a purchase."
        ),
        "",
        "The figures were read at 2024-02-15 12:00:00 UTC.",
    ]


def test_body_names_the_place_of_a_mapped_task() -> None:
    mapped = replace(REQUEST, asked_by=("etl", "run", "buy", 0))

    assert "task buy, map index 0" in mapped.body(ASK, now=NOW)


@pytest.mark.parametrize(
    ("entries", "limits", "says"),
    [
        (
            [checkout(20, "completed"), checkout(5)],
            {},
            "20 USD are paid and 5 USD can still be paid in 2024-02 (UTC). The connection has no monthly limit.",
        ),
        (
            [checkout(20, "completed")],
            {"monthly_topup_limit": Decimal(100), "conn_id": "pay"},
            "Connection pay allows 100 USD, so 80 USD are left before this purchase.",
        ),
        (
            [],
            {"monthly_topup_limit": Decimal(100), "max_amount": 30},
            "so 100 USD are left before this purchase, and one purchase may cost 30 USD at most.",
        ),
        ([checkout(200)], {"monthly_topup_limit": Decimal(100)}, "so 0 USD are left before this purchase."),
        ([checkout(1, currency="eur")], {}, "1 more checkout cannot be added up in USD."),
        ([checkout(1, currency="eur")] * 2, {}, "2 more checkouts cannot be added up in USD."),
    ],
)
def test_month_says_what_it_bought_and_may_still_buy(entries: list[Any], limits: dict[str, Any], says: str) -> None:
    assert says in month(entries, **limits)


@pytest.mark.parametrize(
    ("balance", "says"),
    [(70, "70 are available, so 50 are missing."), (90, "70 are available of the 90 on the account, so 50 are")],
)
def test_shortage_names_what_others_hold(balance: int, says: str) -> None:
    shortage = Shortage(needed=Decimal(120), available=Decimal(70), missing=Decimal(50))

    assert f"120 credits are needed. {says}" in describe_shortage(shortage, balance=Decimal(balance))


@pytest.mark.parametrize(("map_index", "shown"), [(-1, None), (None, None), (0, 0), (3, 3)])
def test_request_names_its_task_and_the_page_with_the_buttons(map_index: int | None, shown: int | None) -> None:
    page = "http://airflow.example/dags/etl_daily/runs/manual__1/tasks/buy"
    ti: Any = SimpleNamespace(
        dag_id="etl_daily", run_id="manual__1", task_id="buy", map_index=map_index, log_url=f"{page}?try_number=1"
    )
    request = ApprovalRequest.of(replace(ASK, currency="eur", approvers=("ann",)), ti=ti)
    assert request.asked_by == ("etl_daily", "manual__1", "buy", shown)
    assert request.url == f"{page}/required_actions"
    assert (request.price, request.approvers, request.respond_by) == ("50 EUR", ("ann",), ASK.until)
