"""What a person is told who is asked to pay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentRequest
from tests.support.checkouts import LINK, NOON, YESTERDAY, asked, made

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

RUN_PAGE = "http://localhost:8080/dags/dag/runs/run/tasks/task?try_number=1"
REQUEST: dict[str, Any] = {
    "url": LINK,
    "amount": 50,
    "currency": "usd",
    "checkout_id": "cs_1",
    "credits_missing": 47.5,
    "expires_at": "2026-01-16T12:00:00+00:00",
    "run_url": RUN_PAGE,
}


@pytest.mark.parametrize(
    ("purchase", "differs"),
    [
        (made(), {}),
        (made(currency="eur"), {"currency": "eur"}),
        (made(amount=7), {"amount": 7}),
        # The last POST is the one that got a response.
        (made(posts=(YESTERDAY.isoformat(), NOON.isoformat())), {}),
        (made(posts=("2026-01-14T12:00:00.123456+00:00",)), {"expires_at": "2026-01-15T12:00:00+00:00"}),
        # A receipt does not say when it was asked for.
        (made(posts=()), {"expires_at": None}),
        (asked(payment_url=LINK), {"checkout_id": None}),
        (made(payment_url=None), {"url": ""}),
    ],
)
def test_request_carries_what_notifiers_need(purchase: Purchase, differs: dict[str, Any]) -> None:
    request = PaymentRequest.of(purchase, credits_missing=47.5, run_url=RUN_PAGE)

    assert request == PaymentRequest(**REQUEST | differs)


def test_request_without_a_need_names_no_missing_credits() -> None:
    assert PaymentRequest.of(made(), credits_missing=None, run_url=RUN_PAGE).credits_missing is None
