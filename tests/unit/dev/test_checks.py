"""`make demo` says what was not as promised: each promise can be broken."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.demo.checks import check_key, check_run
from dev.demo.environment import CREDITS_AT_START, CREDITS_PER_VIDEO
from dev.demo.observer import Evidence

PAY = "payment was asked for once"
LINK = "the payment link was on the task's page while it waited"
WORKER = "no worker was held while waiting"
CREDITS = "the credits add up"


class FinishedRun:
    """A run of the credit gate that went as it should, by what Airflow would say."""

    final_state = "success"

    def state(self):
        return self.final_state

    def tasks(self):
        return [{"task_id": "index_video", "map_index": 0}]

    def task(self, task_id):
        return {"rendered_fields": {"threshold": 12}}

    def xcom(self, task_id, map_index=-1):
        return {"credit_balance": 23} if task_id == "enough_credits" else "m-1"


@pytest.fixture
def stage(tmp_path):
    with Emulator(credits=CREDITS_AT_START, api_key="sk-of-the-demo") as emulator:
        yield SimpleNamespace(emulator=emulator, airflow=SimpleNamespace(home=tmp_path))


def broken(stage, run=None, evidence=None):
    return {
        promise.promise
        for promise in check_run(stage, run or FinishedRun(), evidence or Evidence())
        if not promise.kept
    }


def buy(stage):
    from airflow_provider_videodb.api.client import BillingClient

    checkout = BillingClient(stage.emulator.api_key, base_url=stage.emulator.base_url).topup(20)
    stage.emulator.pay(checkout.id)


def test_what_never_happened_is_no_kept_promise(stage):
    assert {PAY, LINK, WORKER, CREDITS} <= broken(stage)


def test_a_second_checkout_breaks_the_promise_of_one(stage):
    buy(stage)
    assert PAY not in broken(stage)

    buy(stage)

    assert PAY in broken(stage)


def test_credits_that_are_missing_break_the_sum(stage):
    buy(stage)
    stage.emulator.charge(CREDITS_PER_VIDEO)
    assert CREDITS not in broken(stage)

    stage.emulator.charge(1)

    assert CREDITS in broken(stage)


def test_another_link_than_the_one_to_pay_is_not_enough(stage):
    shown = Evidence(payment_link="https://pay/1", link_on_page_while_deferred="https://pay/1")
    other = Evidence(payment_link="https://pay/1", link_on_page_while_deferred="https://pay/2")

    assert LINK not in broken(stage, evidence=shown)
    assert LINK in broken(stage, evidence=other)


def test_a_failed_run_breaks_a_promise(stage):
    run = FinishedRun()
    run.final_state = "failed"

    assert "the run succeeded" in broken(stage, run)


def test_a_key_in_a_log_is_found(stage, tmp_path):
    (tmp_path / "scheduler.log").write_text("nothing to see")
    assert check_key(stage).kept

    (tmp_path / "task.log").write_text(f"headers: {stage.emulator.api_key}")

    assert not check_key(stage).kept
    assert "task.log" in check_key(stage).evidence
