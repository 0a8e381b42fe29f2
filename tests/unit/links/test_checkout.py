"""The button on the task's page. That it is there while a task waits is shown in `tests/integration/test_topup.py`."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.links.checkout import CheckoutLink
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator

LINK = "https://pay.example/cs_1"


@pytest.mark.parametrize(
    ("pushed", "shown"),
    [(LINK, LINK), (None, ""), ({"url": LINK}, "")],
    ids=str,
)
def test_it_shows_the_link_that_the_task_pushed_or_nothing(
    monkeypatch: pytest.MonkeyPatch, pushed: Any, shown: str
) -> None:
    asked = {}

    def get_value(*, ti_key: Any, key: str) -> Any:
        asked.update(ti_key=ti_key, key=key)
        return pushed

    monkeypatch.setattr("airflow_provider_videodb.links.checkout.XCom.get_value", get_value)
    ti_key: Any = object()

    assert CheckoutLink().get_link(TopupOperator(task_id="buy", amount=50), ti_key=ti_key) == shown
    assert asked == {"ti_key": ti_key, "key": "payment_url"}


def test_it_is_on_the_operators_that_have_a_link() -> None:
    for operator in (TopupOperator, EnsureCreditsOperator):
        assert [type(link) for link in operator.operator_extra_links] == [CheckoutLink]
    assert not AutoRechargeOperator.operator_extra_links


def test_airflow_is_told_of_it() -> None:
    info: Any = get_provider_info()
    assert f"{CheckoutLink.__module__}.{CheckoutLink.__qualname__}" in info["extra-links"]
