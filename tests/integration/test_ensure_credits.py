"""What EnsureCreditsOperator promises, told to a real `dag.test()` against an emulator that starts with 3 credits."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBConfigError,
    VideoDBCreditsMissingError,
    VideoDBLimitExceededError,
    VideoDBPaymentTimeoutError,
)
from tests.support.dag_runs import new_dag, run
from tests.support.purchases import LIST, TASK, TOPUP, USAGE, Died, Point, Shopping, id_of, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person

#: A payment that never shows must end the test.
ensuring = partial(Shopping, "EnsureCreditsOperator", settle_timeout=5)

STEPS = {
    "before the intent": Point("purchases.journal.Journal", "save"),
    "before the POST": Point("api.client.BillingClient", "topup"),
    "after the answer": Point("api.client.BillingClient", "topup", after=True),
    "after the claim": Point("purchases.claims.VariableClaims", "claim", after=True),
    "after the link": Point("operators._purchasing.PurchasingOperator", "push_link", nth=2, after=True),
    "before the wait": Point("operators._purchasing.PurchasingOperator", "wait"),
    "on resume": Point("operators.ensure_credits.EnsureCreditsOperator", "execute_complete"),
    "before it is settled": Point("purchases.journal.Journal", "save", nth=5),
    "before the result": Point("operators.ensure_credits.EnsureCreditsOperator", "_finish"),
    "after the result": Point("operators.ensure_credits.EnsureCreditsOperator", "_finish", after=True),
}


def dollars(emulator: Emulator) -> list[int]:
    return [json.loads(call.body)["amount"] for call in emulator.calls("POST", TOPUP, accepted=True)]


@pytest.mark.parametrize("credits", [3, 2.5, "3", 0])
def test_enough_buys_nothing(person: Person, emulator: Emulator, credits: Any) -> None:
    bought = ensuring(credits=credits).run()

    assert bought.result == {
        "checkout_id": None,
        "amount": None,
        "currency": None,
        "status": "not_needed",
        "payment_url": None,
        "balance_before": 3,
        "balance_after": 3,
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
def test_the_shortfall_is_bought_in_whole_dollars(
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
def test_a_shortfall_over_a_limit_is_not_bought(
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


BAD_ARGUMENTS: list[dict[str, Any]] = [
    *({"credits": value} for value in (-1, "abc", None, True, "nan")),
    *({"usd_per_credit": value} for value in (0, -1, "abc", None)),
    *({"min_amount": value} for value in (0, -1, 1.5, "abc", None)),
    *({"settle_timeout": value} for value in (0, -1, "soon", timedelta(0))),
    {"max_amount": 0},
    {"redirect_url": "nowhere"},
    {"poll_interval": 0},
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_bad_literal_fails_while_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    """What templates render to is in test_emptied_arguments.py."""
    with pytest.raises(VideoDBConfigError, match=next(iter(arguments))):
        ensuring(**{"credits": 53} | arguments)


def test_every_template_field_takes_a_template_or_an_earlier_tasks_result(person: Person, emulator: Emulator) -> None:
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


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
class TestTheWait:
    def test_goes_on_until_the_balance_shows_the_payment(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        emulator.change_settings(usage_lag=0.5)
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("completed", 53)
        assert dollars(emulator) == [50]

    def test_ends_where_the_payment_does_not_show(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        emulator.change_settings(usage_lag=3600)
        shopping = ensuring(credits=53, deferrable=deferrable, settle_timeout=0.2, retries=1)
        bought = shopping.run()

        assert (bought.state, bought.tries) == ("failed", 2)
        for error in bought.errors:
            assert isinstance(error, VideoDBCreditsMissingError)
            assert "3 of 53 credits" in str(error)
            assert "buys nothing more" in str(error)
        assert dollars(emulator) == [50]

        emulator.advance(3600)
        assert shopping.clear(bought).result["status"] == "completed"
        assert dollars(emulator) == [50]

    def test_ends_where_somebody_else_fills_the_account(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str], *, deferrable: bool
    ) -> None:
        person.while_waiting = lambda: emulator.set_balance(100)
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("pending", 100)
        assert bought.result["payment_url"] == person.links[0]
        assert f"because VideoDB cannot cancel one: {person.links[0]}" in capsys.readouterr().out

    def test_ends_though_the_checkout_is_gone_where_there_is_enough(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str], *, deferrable: bool
    ) -> None:
        def expires_and_fills() -> None:
            person.expires()
            emulator.set_balance(100)

        person.while_waiting = expires_and_fills
        assert ensuring(credits=53, deferrable=deferrable).run().state == "success"
        assert "expired unpaid, so nobody can pay it any more" in capsys.readouterr().out

    def test_does_not_need_the_list_where_there_is_enough(
        self, person: Person, emulator: Emulator, connect: Callable[..., None], *, deferrable: bool
    ) -> None:
        def fills_and_breaks() -> None:
            emulator.set_balance(100)
            emulator.add_fault("status", method="GET", path=LIST, times=None)

        connect(max_retries=0)
        person.while_waiting = fills_and_breaks
        assert ensuring(credits=53, deferrable=deferrable).run().result["balance_after"] == 100

    def test_without_topup_is_for_somebody_else_to_end(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        person.while_waiting = lambda: emulator.set_balance(60)
        bought = ensuring(credits=53, topup=False, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("filled", 60)
        assert dollars(emulator) == []

    def test_without_topup_ends_by_its_time(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        bought = ensuring(credits=53, topup=False, payment_timeout=0.2, deferrable=deferrable).run()

        [error] = bought.errors
        assert isinstance(error, VideoDBCreditsMissingError)
        assert "3 of 53 credits" in str(error)
        assert dollars(emulator) == []

    def test_ends_with_the_checkout(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(person.expires, person.pays)
        bought = ensuring(credits=53, deferrable=deferrable, retries=1).run()

        assert isinstance(bought.errors[0], VideoDBCheckoutExpiredError)
        assert (bought.state, bought.tries) == ("success", 2)
        assert dollars(emulator) == [50, 50]
        assert person.most_payable == 1

    def test_ends_where_nobody_pays_and_a_retry_waits_for_the_same_link(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        person.while_waiting = in_turn(lambda: None, person.pays)
        bought = ensuring(credits=53, payment_timeout=0.3, deferrable=deferrable, retries=1).run()

        assert isinstance(bought.errors[0], VideoDBPaymentTimeoutError)
        assert person.links[0] in str(bought.errors[0])
        assert (bought.state, bought.tries) == ("success", 2)
        assert dollars(emulator) == [50]

    def test_begins_anew_where_the_credits_are_spent_meanwhile(
        self, person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, *, deferrable: bool
    ) -> None:
        from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator

        execute_complete, spent = EnsureCreditsOperator.execute_complete, in_turn(lambda: emulator.charge(10))

        def resumed(self: EnsureCreditsOperator, context: Any, event: Any = None) -> Any:
            spent()
            return execute_complete(self, context, event)

        monkeypatch.setattr(EnsureCreditsOperator, "execute_complete", resumed)
        person.while_waiting = in_turn(person.pays, lambda: emulator.set_balance(70))
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("completed", 70)
        assert dollars(emulator) == [50]

    def test_is_that_of_a_card_charged_at_once(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        emulator.change_settings(charge_stored_card=True, usage_lag=0.3)
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("completed", 53)
        assert person.links == []
        assert dollars(emulator) == [50]


def test_a_worker_that_waits_long_does_not_pile_up_calls(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time the balance shows enough, it is spent before the worker looks; so it waits again."""
    from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator

    depths: list[int] = []
    execute_complete = EnsureCreditsOperator.execute_complete
    spend = in_turn(*[lambda: emulator.set_balance(3)] * 3)

    def resumed(self: EnsureCreditsOperator, context: Any, event: Any = None) -> Any:
        spend()
        return execute_complete(self, context, event)

    def somebody_fills() -> None:
        depths.append(len(inspect.stack()))
        emulator.set_balance(60)

    monkeypatch.setattr(EnsureCreditsOperator, "execute_complete", resumed)
    person.while_waiting = somebody_fills
    assert ensuring(credits=53, topup=False, deferrable=False).run().state == "success"

    assert len(depths) == 4
    assert len(set(depths)) == 1


@pytest.mark.parametrize("server", [{}, {"charge_stored_card": True}, {"usage_lag": 0.4}], ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_a_retry_goes_on_from_where_a_try_died(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, step: str, server: dict[str, Any]
) -> None:
    emulator.change_settings(**server)
    STEPS[step].breaks(Died(step), monkeypatch)
    bought = ensuring(credits=53, retries=2, payment_timeout=5).run()

    assert (bought.state, bought.result["status"]) == ("success", "completed")
    paid = [checkout for checkout in emulator.checkouts() if checkout.status == "completed"]
    assert len(paid) == 1
    assert person.most_payable <= 1


def test_what_was_paid_while_nobody_waited_is_this_tasks(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.on_sight = person.pays
    STEPS["after the link"].breaks(Died(), monkeypatch)
    bought = ensuring(credits=53, retries=1).run()

    assert (bought.result["status"], bought.result["checkout_id"]) == ("completed", id_of(person.links[0]))
    assert dollars(emulator) == [50]


def test_what_was_charged_by_a_lost_answer_is_this_tasks(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.change_settings(charge_stored_card=True)
    STEPS["after the answer"].breaks(Died(), monkeypatch)
    bought = ensuring(credits=53, retries=1).run()

    [checkout] = emulator.checkouts()
    assert (bought.result["status"], bought.result["checkout_id"]) == ("completed", checkout.id)


def test_a_purchase_that_cannot_be_told_is_named_where_there_is_enough(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two checkouts of the same amount were charged at the instant whose answer is lost."""
    emulator.change_settings(charge_stored_card=True)
    topup = BillingClient.topup
    monkeypatch.setattr(
        BillingClient, "topup", lambda self, amount, **kwargs: (topup(self, amount), topup(self, amount, **kwargs))[1]
    )
    STEPS["after the answer"].breaks(Died(), monkeypatch)
    bought = ensuring(credits=53, retries=1).run()

    assert (bought.state, bought.result["checkout_id"]) == ("success", None)
    told = capsys.readouterr().out
    assert all(f"{checkout.id}: 50 USD, completed" in told for checkout in emulator.checkouts())
    assert len(emulator.checkouts()) == 2


@pytest.mark.parametrize("spent", [0, 2], ids=["as it was", "more is missing"])
def test_what_was_refused_is_reckoned_anew(person: Person, emulator: Emulator, spent: int) -> None:
    emulator.add_fault("status", method="POST", path=TOPUP, status=429)
    shopping = ensuring(credits=53)
    refused = shopping.run()
    emulator.charge(spent)

    assert shopping.clear(refused).result["amount"] == 50 + spent
    assert dollars(emulator) == [50 + spent]


def test_a_clear_of_a_paid_task_whose_credits_are_spent_buys_nothing_more(person: Person, emulator: Emulator) -> None:
    shopping = ensuring(credits=53, settle_timeout=0.2)
    bought = shopping.run()
    emulator.set_balance(1)
    again = shopping.clear(bought)

    assert isinstance(again.errors[-1], VideoDBCreditsMissingError)
    assert "new DAG run" in str(again.errors[-1])
    assert dollars(emulator) == [50]


@pytest.mark.parametrize(
    ("filled", "posts"), [(95, [97, 5]), (3, [97, 97]), (0, [97, 100]), (99.5, [97, 1]), (100, [97]), (200, [97])]
)
def test_expired_link_is_followed_by_one_over_what_is_missing_now(
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
def test_lost_answer_is_followed_by_post_over_what_is_missing_now(
    person: Person, emulator: Emulator, filled: float, posts: list[int]
) -> None:
    """A POST whose answer was lost has led to nothing; meanwhile somebody else fills the account."""
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


@pytest.mark.parametrize("left", [0, 1, 52.5])
def test_clear_after_bought_credits_are_used_up_fails_at_once(person: Person, emulator: Emulator, left: float) -> None:
    """The payment is older than `settle_timeout`, so there is nothing left to wait for."""
    shopping = ensuring(credits=53, settle_timeout=0.01)
    bought = shopping.run()
    emulator.set_balance(left)
    waits: list[None] = []
    person.while_waiting = lambda: waits.append(None)
    again = shopping.clear(bought)

    error = again.errors[-1]
    assert isinstance(error, VideoDBCreditsMissingError)
    assert f"the balance is {left} of 53 credits: they are used up" in str(error)
    assert waits == []


def test_wait_for_paid_credits_says_until_when(
    person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.change_settings(usage_lag=0.3)
    assert ensuring(credits=53).run().state == "success"

    assert "50 USD were paid at 20" in capsys.readouterr().out


def test_an_unreadable_balance_is_never_enough(person: Person, emulator: Emulator) -> None:
    emulator.add_fault("status", method="GET", path=USAGE, status=400, times=None)

    assert ensuring(credits=0).run().state == "failed"


def test_it_shares_the_poll_of_the_sensors() -> None:
    from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
    from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger

    same: dict[str, Any] = {"threshold": 5, "videodb_conn_id": "videodb_default", "poll_interval": 30, "deadline": None}
    sensor, task = CreditThresholdTrigger(**same), EnsureCreditsTrigger(**same, state={})
    assert sensor.question == task.question
