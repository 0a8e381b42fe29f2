"""The button on the task's page. `tests/live/test_ui.py` shows it in a browser."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.links.checkout import CheckoutLink
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from tests.support.compat import OperatorSerialization
from tests.support.dag_runs import new_dag

LINK = "https://pay.example/cs_1"


@pytest.fixture
def read_from_xcom(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for Airflow's XCom; holds the value to return and then the arguments of the call."""
    xcom: dict[str, Any] = {"value": LINK}

    def get_value(**asked: Any) -> Any:
        xcom["asked"] = asked
        return xcom["value"]

    monkeypatch.setattr("airflow_provider_videodb.links.checkout.XCom.get_value", get_value)
    return xcom


@pytest.mark.parametrize(
    ("pushed", "shown"),
    [(LINK, LINK), (None, ""), ({"url": LINK}, "")],
    ids=str,
)
def test_button_leads_to_the_link_that_the_task_pushed(read_from_xcom: dict[str, Any], pushed: Any, shown: str) -> None:
    read_from_xcom["value"] = pushed
    ti_key: Any = object()

    assert CheckoutLink().get_link(TopupOperator(task_id="buy", amount=50), ti_key=ti_key) == shown
    assert read_from_xcom["asked"] == {"ti_key": ti_key, "key": "payment_url"}


def test_button_disappears_with_the_last_open_checkout(read_from_xcom: dict[str, Any]) -> None:
    task = TopupOperator(task_id="buy", amount=50)
    task.has_open_checkout = False
    ti_key: Any = object()

    assert CheckoutLink().get_link(task, ti_key=ti_key) == ""


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"amount": 20}, "Pay 20 USD"),
        ({"amount": 20, "currency": "usd"}, "Pay 20 USD"),
        ({"amount": 20, "currency": "eur"}, "Pay for credits"),
        ({"amount": 20, "currency": "{{ params.currency }}"}, "Pay for credits"),
        ({"amount": "{{ params.dollars }}"}, "Pay for credits"),
    ],
    ids=str,
)
def test_button_names_the_price_where_the_dag_file_does(arguments: dict[str, Any], name: str) -> None:
    assert button_names(TopupOperator(task_id="buy", **arguments)) == [name]


def test_button_of_a_calculated_amount_names_no_price() -> None:
    assert button_names(EnsureCreditsOperator(task_id="buy", credits=50)) == ["Pay for credits"]


def test_mapped_task_has_a_button() -> None:
    with new_dag("mapped"):
        mapped = TopupOperator.partial(task_id="buy").expand(amount=[20, 50])
    assert button_names(mapped) == ["Pay for credits"]


def test_task_that_buys_nothing_has_no_button() -> None:
    assert not AutoRechargeOperator.operator_extra_links


def test_airflow_is_told_of_the_button() -> None:
    info: Any = get_provider_info()
    assert f"{CheckoutLink.__module__}.{CheckoutLink.__qualname__}" in info["extra-links"]


def button_names(task: Any) -> list[str]:
    """Return the names under which Airflow serializes the buttons of a task."""
    return list(OperatorSerialization._serialize_operator_extra_links(task.operator_extra_links))
