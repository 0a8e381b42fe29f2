"""A retry or a clear of EnsureCreditsOperator never pays twice."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    VideoDBCreditsMissingError,
)
from tests.support.purchases import TOPUP, Died, Point, PurchaseRuns, id_of

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


#: The balance must show a payment within this time, so that a test ends.
ensuring = partial(PurchaseRuns, "EnsureCreditsOperator", settle_timeout=5)


STEPS = {
    "before the intent": Point("purchases.journal.Journal", "save"),
    "before the POST": Point("api.client.BillingClient", "topup"),
    "after the response": Point("api.client.BillingClient", "topup", after=True),
    "after the claim": Point("purchases.claims.VariableClaims", "claim", after=True),
    "after the link": Point("operators._purchasing.PurchasingOperator", "push_link", nth=2, after=True),
    "before the wait": Point("operators._purchasing.PurchasingOperator", "wait"),
    "on resume": Point("operators.ensure_credits.EnsureCreditsOperator", "execute_complete"),
    "before it is marked paid": Point("purchases.journal.Journal", "save", nth=5),
    "before the result": Point("operators._ensure_credits_run.EnsureCreditsRun", "_finish"),
    "after the result": Point("operators._ensure_credits_run.EnsureCreditsRun", "_finish", after=True),
}


def dollars(emulator: Emulator) -> list[int]:
    return [json.loads(call.body)["amount"] for call in emulator.calls("POST", TOPUP, accepted=True)]


@pytest.mark.parametrize("server", [{}, {"charge_stored_card": True}, {"usage_lag": 0.4}], ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_retry_goes_on_from_where_a_try_died(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, step: str, server: dict[str, Any]
) -> None:
    emulator.change_settings(**server)
    STEPS[step].breaks(Died(step), monkeypatch)
    bought = ensuring(credits=53, retries=2, payment_timeout=5).run()

    assert (bought.state, bought.result["status"]) == ("success", "completed")
    paid = [checkout for checkout in emulator.checkouts() if checkout.status == "completed"]
    assert len(paid) == 1
    assert person.most_payable <= 1


def test_payment_between_tries_counts(person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    person.on_sight = person.pays
    STEPS["after the link"].breaks(Died(), monkeypatch)
    bought = ensuring(credits=53, retries=1).run()

    assert (bought.result["status"], bought.result["checkout_id"]) == ("completed", id_of(person.links[0]))
    assert dollars(emulator) == [50]


def test_charge_with_a_lost_response_counts(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.change_settings(charge_stored_card=True)
    STEPS["after the response"].breaks(Died(), monkeypatch)
    bought = ensuring(credits=53, retries=1).run()

    [checkout] = emulator.checkouts()
    assert (bought.result["status"], bought.result["checkout_id"]) == ("completed", checkout.id)


def test_unknown_purchase_is_logged_if_the_balance_suffices(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two checkouts over the same amount were charged when the response was lost."""
    emulator.change_settings(charge_stored_card=True)
    topup = BillingClient.topup
    monkeypatch.setattr(
        BillingClient, "topup", lambda self, amount, **kwargs: (topup(self, amount), topup(self, amount, **kwargs))[1]
    )
    STEPS["after the response"].breaks(Died(), monkeypatch)
    bought = ensuring(credits=53, retries=1).run()

    assert (bought.state, bought.result["checkout_id"]) == ("success", None)
    told = capsys.readouterr().out
    assert all(f"{checkout.id}: 50 USD, completed" in told for checkout in emulator.checkouts())
    assert len(emulator.checkouts()) == 2


def test_clear_of_a_paid_task_buys_nothing_more(person: Person, emulator: Emulator) -> None:
    purchasing = ensuring(credits=53, settle_timeout=0.2)
    bought = purchasing.run()
    emulator.set_balance(1)
    again = purchasing.clear(bought)

    assert isinstance(again.errors[-1], VideoDBCreditsMissingError)
    assert "new DAG run" in str(again.errors[-1])
    assert dollars(emulator) == [50]


@pytest.mark.parametrize("left", [0, 1, 52.5])
def test_clear_after_the_credits_are_used_up_fails_at_once(person: Person, emulator: Emulator, left: float) -> None:
    """The payment is older than `settle_timeout`, so the task has nothing to wait for."""
    purchasing = ensuring(credits=53, settle_timeout=0.01)
    bought = purchasing.run()
    emulator.set_balance(left)
    waits: list[None] = []
    person.while_waiting = lambda: waits.append(None)
    again = purchasing.clear(bought)

    error = again.errors[-1]
    assert isinstance(error, VideoDBCreditsMissingError)
    assert str(error).startswith(f"The balance is {left} of 53 credits, more than 0.01 s (settle_timeout) after")
    assert waits == []
