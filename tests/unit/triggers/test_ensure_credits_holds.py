"""EnsureCreditsTrigger wakes a worker when the holds of others leave something to decide."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_videodb.holds.rules.records import Flag, Kind
from airflow_provider_videodb.purchases.rules.credit_wait import CreditWait
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.triggers._gates import WaitingGate
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from tests.support.compat import needs_listed_variables
from tests.support.hold_flags import flag_of_another
from tests.support.records import purchase_of
from tests.support.triggerer import polled, triggerer
from tests.support.variables import Variables

pytestmark = [
    pytest.mark.anyio,
    needs_listed_variables,
]

PAID = Purchase.from_dict(purchase_of("cs_1") | {"paid": ["cs_1"], "paid_at": "2026-01-15T12:00:00+00:00"})
HOLDS = WaitingGate(holds=True, holder="mine.-1", try_id="second", decides_in_worker=True).to_dict()
RESPECTS = WaitingGate(holds=False, holder="mine.-1", try_id="second").to_dict()
AUDITS = WaitingGate(holds=False, holder="mine.-1", decides_in_worker=True, respects_holds=False).to_dict()
each_gate = pytest.mark.parametrize("gate", [HOLDS, RESPECTS], ids=["with a hold", "without"])


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()
    kept.install(monkeypatch)
    return kept


def put(variables: Variables, flag: Flag) -> Flag:
    variables.kept[flag.key] = "{}"
    return flag


def waiting(gate: dict[str, Any] | None = HOLDS, **wait: Any) -> EnsureCreditsTrigger:
    """Return the trigger of a task that needs 12 credits and may still buy."""
    state = CreditWait(**{"purchase": None, "deadline": 1.5, "buys_if_short": True} | wait).to_dict()
    usual: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 0.05, "threshold": "12"}
    return EnsureCreditsTrigger(**usual, deadline=time.time() + 30, wait=state, gate=gate)


@each_gate
async def test_resumed_account_wakes_a_worker_to_buy(emulator, variables, gate):
    pause = put(variables, flag_of_another(Kind.PAUSED, 0, ms=0))
    trigger = waiting(gate)
    async with triggerer() as airflow:
        await airflow.start(trigger)
        await polled(emulator, 3)
        await airflow.waits_on()
        del variables.kept[pause.key]
        told = await airflow.payload()

    assert (told["status"], told["wait"]) == ("short", trigger.wait)


@each_gate
async def test_credits_that_others_take_wake_a_worker_to_buy(emulator, variables, gate):
    """The account has enough until those ahead open."""
    emulator.set_balance(15)
    pause = put(variables, flag_of_another(Kind.PAUSED, 0, ms=0))
    async with triggerer() as airflow:
        await airflow.start(waiting(gate))
        await polled(emulator, 2)
        put(variables, flag_of_another(Kind.HELD, 10))
        del variables.kept[pause.key]
        told = await airflow.payload()

    assert (told["status"], told["available"]) == ("short", 5)


@pytest.mark.parametrize(
    "wait",
    [{"buys_if_short": False}, {"purchase": PAID}],
    ids=["topup=False", "has paid"],
)
async def test_task_that_buys_nothing_more_is_not_woken(emulator, variables, wait):
    async with triggerer() as airflow:
        await airflow.start(waiting(**wait))
        await polled(emulator, 4)
        await airflow.waits_on()


async def test_gate_that_is_opening_is_no_reason_to_buy(emulator, variables):
    """Another gate has raised its flag a moment ago, and may take it down again."""
    emulator.set_balance(15)
    now = int(time.time() * 1000)
    place = put(variables, flag_of_another(Kind.WAITING, 10, ms=now))
    put(variables, flag_of_another(Kind.HELD, 10, ms=now))
    async with triggerer() as airflow:
        await airflow.start(waiting())
        await polled(emulator, 4)
        await airflow.waits_on()
        del variables.kept[place.key]
        assert (await airflow.payload())["status"] == "short"


async def test_hold_of_an_earlier_try_is_no_reason_to_buy(emulator, variables):
    emulator.set_balance(15)
    earlier = put(variables, flag_of_another(Kind.HELD, 12, holder="mine.-1"))
    async with triggerer() as airflow:
        await airflow.start(waiting())
        await polled(emulator, 4)
        await airflow.waits_on()
        del variables.kept[earlier.key]
        assert (await airflow.payload())["status"] == "may_open"


@pytest.mark.parametrize("gate", [None, AUDITS], ids=["unlisted", "audited"])
async def test_gate_that_ignores_holds_buys_in_a_pause(emulator, variables, gate):
    put(variables, flag_of_another(Kind.PAUSED, 0, ms=0))
    async with triggerer() as airflow:
        await airflow.start(waiting(gate))
        assert (await airflow.payload())["status"] == "short"


class TestPaidWait:
    """The payment is old, so only others can be the reason to wait."""

    async def test_wait_goes_on_while_others_keep_the_gate_closed(self, emulator, variables):
        emulator.set_balance(24)
        put(variables, flag_of_another(Kind.HELD, 20))
        async with triggerer() as airflow:
            await airflow.start(waiting(purchase=PAID, recheck_at=time.time() - 1))
            await polled(emulator, 4)
            await airflow.waits_on()
            # The others have used more than they held.
            emulator.set_balance(11)
            assert (await airflow.payload())["status"] == "timeout"

    async def test_balance_may_still_show_the_payment(self, emulator, variables):
        emulator.set_balance(11)
        async with triggerer() as airflow:
            await airflow.start(waiting(purchase=PAID, recheck_at=time.time() + 30))
            await polled(emulator, 4)
            await airflow.waits_on()
            emulator.set_balance(12)
            assert (await airflow.payload())["status"] == "may_open"
