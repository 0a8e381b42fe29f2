"""A worker shows a payment in Required Actions, and reads what a person responded."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBPaymentRefusedError,
    VideoDBPurchaseError,
    VideoDBRecordNotKeptError,
    VideoDBServerError,
)
from airflow_provider_videodb.operators._required_action import paid_before_cancel, show_payment
from airflow_provider_videodb.purchases.rules.required_action import Response
from tests.support.checkouts import listed, made, responded
from tests.support.worlds import World

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.executor import PurchaseExecutor
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

LOG: Any = logging.getLogger("task")
TI: Any = SimpleNamespace(id=UUID(int=1), max_tries=2, log_url="http://localhost:8080/dags/dag")
CANCELLED = Response(chosen=("Cancel",), by="Jane")


class RequiredActions:
    """Airflow's side: one request per task instance, whose text never changes."""

    def __init__(self) -> None:
        self.kept: Any = None
        self.sent = 0
        self.error: Exception | None = None

    def send(self, message: Any) -> Any:
        self.sent += 1
        if self.error is not None:
            raise self.error
        self.kept = self.kept or message
        return self.kept


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> RequiredActions:
    airflow = RequiredActions()
    monkeypatch.setattr("airflow_provider_videodb.operators._required_action.ask_airflow", airflow.send)
    return airflow


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made_up = World()
    made_up.install(monkeypatch)
    made_up.responses = [responded("cs_1")]
    return made_up


@pytest.fixture
def purchase(world: World) -> Purchase:
    return world.buys()


@pytest.fixture
def executor(world: World, purchase: Purchase) -> PurchaseExecutor:
    executor = world.executor
    assert executor.load_existing() == purchase
    return executor


def test_request_is_shown_and_recorded(actions, executor, purchase):
    assert show_payment(executor, TI, purchase, None, LOG) == "open"

    assert (actions.kept.subject, actions.kept.options) == ("Pay 50 USD for VideoDB credits", ["Cancel"])
    assert actions.kept.ti_id == TI.id
    assert executor.load_existing().action_max_tries == 2


def test_retry_keeps_a_response_that_nobody_has_read(actions, executor, purchase):
    show_payment(executor, TI, purchase, None, LOG)

    assert show_payment(executor, TI, executor.load_existing(), None, LOG) == "open"
    assert actions.sent == 1


def test_cleared_task_asks_again(actions, executor, purchase):
    show_payment(executor, TI, purchase, None, LOG)
    cleared = SimpleNamespace(**{**vars(TI), "max_tries": 4})

    assert show_payment(executor, cleared, executor.load_existing(), None, LOG) == "open"
    assert actions.sent == 2


def test_paid_purchase_asks_nobody(actions, world):
    assert show_payment(executor, TI, made(paid=("cs_1",)), None, LOG) == "over"
    assert actions.sent == 0


def test_refused_request_lets_the_task_wait_without(actions, executor, purchase, caplog):
    actions.error = RuntimeError("Airflow is away")

    assert show_payment(executor, TI, purchase, None, LOG) is None
    assert "Airflow did not show the payment in Required Actions." in caplog.messages
    assert "The task waits without it. The cause: Airflow is away" in caplog.messages
    assert executor.load_existing().action_max_tries is None


def test_record_that_is_not_kept_fails_nothing(actions, executor, purchase, caplog, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise VideoDBRecordNotKeptError("Airflow could not write. Next step: check it.")

    monkeypatch.setattr(type(executor), "record_action", fail)

    assert show_payment(executor, TI, purchase, None, LOG) == "open"
    assert caplog.messages[-2:] == ["Airflow could not write.", "So a retry of the task shows the request again."]


def test_text_of_an_earlier_try_is_reported(actions, executor, purchase, caplog):
    show_payment(executor, TI, made(payment_url="https://pay.example/old"), None, LOG)
    caplog.clear()

    assert show_payment(executor, TI, purchase, None, LOG) == "open"
    assert "Airflow shows the payment request of an earlier try." in caplog.messages


def test_cancel_ends_an_unpaid_purchase(world, executor):
    world.entries = [listed("cs_1")]

    with pytest.raises(VideoDBPaymentRefusedError, match="Jane refused the payment of 50 USD"):
        paid_before_cancel(executor, CANCELLED, LOG)


def test_payment_before_the_cancel_counts(world, executor, caplog):
    caplog.set_level(logging.INFO)
    world.entries = [listed("cs_1", "completed")]

    assert paid_before_cancel(executor, CANCELLED, LOG).paid == ("cs_1",)
    assert "Jane chose Cancel, but the checkout is paid. So the task continues." in caplog.messages


def test_cancel_stands_while_videodb_is_away(executor, monkeypatch):
    def fail(*_: Any) -> None:
        raise VideoDBServerError("GET /billing/checkouts failed (HTTP 503). Next step: wait.")

    monkeypatch.setattr(type(executor), "reconcile", fail)

    with pytest.raises(VideoDBPaymentRefusedError, match="could not be asked whether it is paid"):
        paid_before_cancel(executor, CANCELLED, LOG)


def test_cancel_without_a_record_ends_the_task(world):
    with pytest.raises(VideoDBPaymentRefusedError, match="Jane refused the payment, so"):
        paid_before_cancel(world.executor, CANCELLED, LOG)


@pytest.mark.parametrize("chosen", [("Approve",), ("Cancel", "Approve")])
def test_option_that_was_not_offered_is_an_error(executor, chosen):
    with pytest.raises(VideoDBPurchaseError, match="which this task does not know"):
        paid_before_cancel(executor, Response(chosen=chosen, by="Jane"), LOG)
