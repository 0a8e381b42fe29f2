"""What a person is told who is asked to pay."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentEvent, PaymentRequest, shortage_of
from airflow_provider_videodb.purchases.rules.required_action import Shortage
from tests.support.checkouts import LINK, NOON, YESTERDAY, asked, made

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

RUN_PAGE = "http://localhost:8080/dags/dag/runs/run/tasks/task?try_number=1"
TASK: Any = SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=-1, log_url=RUN_PAGE)
SHORT = Shortage(needed=Decimal(50), available=Decimal("2.5"), missing=Decimal("47.5"))
REQUEST: dict[str, Any] = {
    "url": LINK,
    "amount": 50,
    "currency": "usd",
    "checkout_id": "cs_1",
    "credits_missing": 47.5,
    "expires_at": "2026-01-16T12:00:00+00:00",
    "run_url": RUN_PAGE,
    "event": "requested",
    "credits_needed": 50,
    "credits_available": 2.5,
    "dag_id": "dag",
    "run_id": "run",
    "task_id": "task",
    "note": None,
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
    assert PaymentRequest.of(purchase, ti=TASK, shortage=SHORT) == PaymentRequest(**REQUEST | differs)


def test_request_without_a_need_names_no_credits() -> None:
    request = PaymentRequest.of(made(), ti=TASK)

    assert (request.credits_needed, request.credits_available, request.credits_missing) == (None, None, None)


def test_mapped_task_is_named_with_its_index() -> None:
    mapped: Any = SimpleNamespace(**vars(TASK) | {"map_index": 0})

    assert PaymentRequest.of(made(), ti=mapped).task_id == "task[0]"


def test_late_payment_names_what_was_paid() -> None:
    purchase = made(amount=50, ended={"cs_0": 20}, paid=("cs_0",))
    request = PaymentRequest.of(purchase, ti=TASK, event=PaymentEvent.PAID, note="The pipeline continues.")

    assert (request.price, request.checkout_id) == ("20 USD", "cs_0")
    assert (request.event, request.note) == ("paid", "The pipeline continues.")


@pytest.mark.parametrize(
    ("available", "missing"),
    [(2.5, "47.5"), (50, "0"), (80, "0"), (-3, "53")],
)
def test_shortage_is_what_the_balance_lacks(available: float, missing: str) -> None:
    shortage = shortage_of(Decimal(50), available)

    assert shortage == Shortage(needed=Decimal(50), available=Decimal(str(available)), missing=Decimal(missing))


@pytest.mark.parametrize("available", [None, "many", True, float("nan"), [5]])
def test_unread_balance_has_no_shortage(available: object) -> None:
    assert shortage_of(Decimal(50), available) is None
