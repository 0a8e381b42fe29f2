"""Two tasks that ask for the same amount at the same instant, over real HTTP: neither takes the other's checkout."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    VideoDBError,
    VideoDBLimitExceededError,
    VideoDBPurchaseUnknownError,
)
from airflow_provider_videodb.purchases.claims import TaskClaims, VariableClaims
from airflow_provider_videodb.purchases.executor import PurchaseExecutor
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.need import Need
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from tests.support.purchases import TOPUP
from tests.support.tries import StandInTry
from tests.support.variables import Store, Variables

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.emulator.server import Emulator

CHARGES: dict[str, Any] = {"charge_stored_card": True}


@dataclass
class InStep:
    """The account, where nobody's first POST is sent before, nor its outcome looked at until, the other's is."""

    client: BillingClient
    together: threading.Barrier
    _first: bool = True

    def topup(self, amount: int, **kwargs: Any) -> Checkout:
        in_step, self._first = self._first, False
        if in_step:
            self.together.wait()
        try:
            return self.client.topup(amount, **kwargs)
        finally:
            if in_step:
                self.together.wait()

    def list_checkouts(self) -> list[Checkout]:
        return self.client.list_checkouts()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.decide.LIST_LAG", timedelta(seconds=0.4))
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.decide.DATE_STEP", timedelta(seconds=0.05))
    monkeypatch.setattr("airflow_provider_videodb.purchases.claims._CLAIM_RACE", 0.2)
    Variables().install(monkeypatch)


def both_buy(emulator: Emulator, *, monthly_topup_limit: int | None = None) -> list[Purchase | VideoDBError]:
    """Let two tasks buy 50 dollars each, and return what came of it."""
    together = threading.Barrier(2, timeout=10)
    limit = None if monthly_topup_limit is None else Decimal(monthly_topup_limit)

    def buy(task_id: str) -> Purchase | VideoDBError:
        client = BillingClient(emulator.api_key, base_url=emulator.base_url, max_retries=0)
        identity, this_try = ("dag", "run", task_id, "-1"), StandInTry(task_id)
        executor = PurchaseExecutor(
            api=InStep(client, together),
            journal=Journal(Store(), this_try),
            claims=TaskClaims(VariableClaims(), identity),
            current_try=this_try,
            limits=SpendLimits(monthly_topup_limit=limit),
            identity=identity,
        )
        need = Need(amount=50, balance=3)
        try:
            bought = executor.obtain_checkout(executor.load_existing(), lambda: need, currency=None, redirect_url=None)
        except VideoDBError as error:
            return error
        assert bought is not None
        return bought

    with ThreadPoolExecutor(2) as workers:
        return list(workers.map(buy, ("one", "other")))


@pytest.mark.parametrize(
    ("server", "faults", "made"),
    [
        ({}, [], 2),
        ({}, ["drop_after"], 3),
        ({}, ["drop_after", "drop_after"], 4),
        ({}, ["drop_before", "drop_after"], 3),
        ({"idempotency": "honour"}, ["drop_after", "drop_after"], 2),
        ({"list_lag": 0.2}, ["drop_after", "drop_after"], 4),
        (CHARGES, [], 2),
        (CHARGES, ["drop_after"], 2),
        (CHARGES, ["drop_before"], 2),
        (CHARGES, ["drop_before", "drop_after"], 2),
        (CHARGES | {"list_lag": 0.2}, ["drop_after"], 2),
    ],
    ids=str,
)
def test_two_tasks_get_a_purchase_each(
    emulator: Emulator, server: dict[str, Any], faults: list[Any], made: int
) -> None:
    emulator.change_settings(**server)
    for kind in faults:
        emulator.add_fault(kind, method="POST", path=TOPUP)
    purchases = [bought for bought in both_buy(emulator) if isinstance(bought, Purchase)]

    assert len(purchases) == 2
    assert len({purchase.checkout_id for purchase in purchases}) == 2
    assert len(emulator.checkouts()) == made
    # The orphans of lost responses are nobody's; whatever was charged for is somebody's.
    charged = {checkout.id for checkout in emulator.checkouts() if checkout.status == "completed"}
    assert charged <= {purchase.checkout_id for purchase in purchases}
    for purchase in purchases:
        assert purchase.paid == (purchase.checkout_id,) or purchase.payment_url == emulator.payment_url(
            str(purchase.checkout_id)
        )


def test_two_charged_tasks_that_cannot_be_told_apart_stop(emulator: Emulator) -> None:
    emulator.change_settings(charge_stored_card=True)
    emulator.add_fault("drop_after", method="POST", path=TOPUP, times=2)
    one, other = both_buy(emulator)

    assert len(emulator.checkouts()) == 2
    for stopped in (one, other):
        assert isinstance(stopped, VideoDBPurchaseUnknownError)
        assert all(checkout.id in str(stopped) for checkout in emulator.checkouts())


@pytest.mark.parametrize("server", [{}, {"list_lag": 0.2}], ids=str)
def test_one_of_two_tasks_beyond_the_limit_withholds_its_link(emulator: Emulator, server: dict[str, Any]) -> None:
    emulator.change_settings(**server)
    outcomes = both_buy(emulator, monthly_topup_limit=60)

    [bought] = (outcome for outcome in outcomes if isinstance(outcome, Purchase))
    [refused] = (outcome for outcome in outcomes if isinstance(outcome, VideoDBLimitExceededError))
    [withheld] = (checkout.id for checkout in emulator.checkouts() if checkout.id != bought.checkout_id)
    assert f"Checkout {withheld} " in str(refused)
