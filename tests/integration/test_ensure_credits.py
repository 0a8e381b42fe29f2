"""EnsureCreditsOperator buys what is missing, in real DAG runs. The emulator starts with 3 credits."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    VideoDBLimitExceededError,
)
from tests.support.dag_runs import new_dag, run
from tests.support.purchases import TASK, TOPUP, USAGE, PurchaseRuns, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


#: The balance must show a payment within this time, so that a test ends.
ensuring = partial(PurchaseRuns, "EnsureCreditsOperator", settle_timeout=5)


def dollars(emulator: Emulator) -> list[int]:
    return [json.loads(call.body)["amount"] for call in emulator.calls("POST", TOPUP, accepted=True)]


@pytest.mark.parametrize("credits", [3, 2.5, "3", 0])
def test_sufficient_balance_buys_nothing(person: Person, emulator: Emulator, credits: Any) -> None:
    bought = ensuring(credits=credits).run()

    assert bought.result == {
        "checkout_id": None,
        "amount": None,
        "currency": None,
        "status": "not_needed",
        "payment_url": None,
        "balance_before": 3,
        "balance_after": 3,
        "held": 0,
        "balance": 3,
        "available": 3,
    }
    assert dollars(emulator) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"credits": 53}, 50),
        ({"credits": "53"}, 50),
        ({"credits": 3.1}, 1),
        ({"credits": 53.01}, 51),
        ({"credits": 53, "usd_per_credit": 0.5}, 25),
        ({"credits": 4, "usd_per_credit": "0.5"}, 1),
        ({"credits": 10, "usd_per_credit": 0.33}, 3),
        ({"credits": 53, "usd_per_credit": 2}, 100),
        ({"credits": 4, "min_amount": 20}, 20),
        ({"credits": 53, "min_amount": "20"}, 50),
        ({"credits": 53, "max_amount": 50}, 50),
    ],
    ids=str,
)
def test_shortage_is_bought_in_whole_dollars(
    person: Person, emulator: Emulator, arguments: dict[str, Any], expected: int
) -> None:
    emulator.change_settings(credits_per_dollar=1 / Decimal(str(arguments.get("usd_per_credit", 1))))
    bought = ensuring(**arguments).run()

    assert dollars(emulator) == [expected]
    assert (bought.result["status"], bought.result["amount"]) == ("completed", expected)
    assert bought.result["balance_before"] == 3
    assert bought.result["balance_after"] >= float(arguments["credits"])


@pytest.mark.parametrize(
    ("extra", "arguments", "limit"),
    [
        ({}, {"max_amount": 49}, "max_amount"),
        ({"max_topup_amount": 49}, {}, "max_topup_amount"),
        ({"monthly_topup_limit": 49}, {}, "monthly_topup_limit"),
        ({}, {"max_amount": 49, "min_amount": 60}, "max_amount"),
    ],
    ids=str,
)
def test_shortage_over_a_limit_is_not_bought(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    *,
    extra: dict[str, Any],
    arguments: dict[str, Any],
    limit: str,
) -> None:
    connect(**extra)
    bought = ensuring(credits=53, retries=2, **arguments).run()

    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, VideoDBLimitExceededError)
    assert limit in str(bought.cause)
    assert dollars(emulator) == []


def test_template_fields_take_templates_and_results(person: Person, emulator: Emulator) -> None:
    from airflow.sdk import task

    from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator

    emulator.change_settings(credits_per_dollar=2)

    @task
    def needed() -> int:
        return 53

    with new_dag("templates") as dag:
        EnsureCreditsOperator(
            task_id=TASK,
            credits=needed(),
            usd_per_credit="{{ 0.5 }}",
            min_amount="{{ 30 }}",
            poll_interval=0.05,
            payment_timeout=20,
        )
    assert run(dag).result(TASK)["amount"] == 30
    assert dollars(emulator) == [30]


@pytest.mark.parametrize("spent", [0, 2], ids=["as it was", "more is missing"])
def test_refused_purchase_is_calculated_again(person: Person, emulator: Emulator, spent: int) -> None:
    emulator.add_fault("status", method="POST", path=TOPUP, status=429)
    purchasing = ensuring(credits=53)
    refused = purchasing.run()
    emulator.charge(spent)

    assert purchasing.clear(refused).result["amount"] == 50 + spent
    assert dollars(emulator) == [50 + spent]


@pytest.mark.parametrize(
    ("filled", "posts"), [(95, [97, 5]), (3, [97, 97]), (0, [97, 100]), (99.5, [97, 1]), (100, [97]), (200, [97])]
)
def test_expired_link_is_replaced_by_the_present_shortage(
    person: Person, emulator: Emulator, filled: float, posts: list[int]
) -> None:
    def expires_while_somebody_fills() -> None:
        person.expires()
        emulator.set_balance(filled)

    person.while_waiting = in_turn(expires_while_somebody_fills, person.pays)
    bought = ensuring(credits=100, retries=1).run()

    assert bought.state == "success"
    assert dollars(emulator) == posts
    assert person.most_payable == 1


@pytest.mark.parametrize(("filled", "posts"), [(95, [97, 5]), (100, [97]), (3, [97, 97])])
def test_lost_response_is_replaced_by_the_present_shortage(
    person: Person, emulator: Emulator, filled: float, posts: list[int]
) -> None:
    """The response is lost and nothing is paid; meanwhile somebody else fills the account."""
    emulator.add_fault("drop_after", method="POST", path=TOPUP)
    topup = BillingClient.topup

    def filled_meanwhile(self: BillingClient, amount: int, **kwargs: Any) -> Any:
        try:
            return topup(self, amount, **kwargs)
        finally:
            if len(emulator.calls("POST", TOPUP)) == 1:
                emulator.set_balance(filled)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BillingClient, "topup", filled_meanwhile)
        bought = ensuring(credits=100).run()

    assert bought.state == "success"
    assert dollars(emulator) == posts


def test_unreadable_balance_is_never_enough(person: Person, emulator: Emulator) -> None:
    emulator.add_fault("status", method="GET", path=USAGE, status=400, times=None)

    assert ensuring(credits=0).run().state == "failed"
