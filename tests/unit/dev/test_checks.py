from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from dev.demo.checks import check_key, check_run
from dev.demo.environment import CREDITS_AT_START, CREDITS_PER_VIDEO
from dev.demo.observer import Evidence

SUCCEEDED = "the run succeeded"
PAID = "payment was requested once"
LINK = "the task's page showed the payment link during the wait"
WORKER = "no worker was held during the wait"
CREDITS = "the credits add up"


class FinishedRun:
    """A run of the credit gate that went well, as Airflow shows it."""

    def __init__(self, state="success"):
        self._state = state

    def state(self):
        return self._state

    def tasks(self):
        return [{"task_id": "index_video", "map_index": 0}]

    def task(self, task_id):
        return {"rendered_fields": {"threshold": 12}}

    def xcom(self, task_id, map_index=-1):
        return {"credit_balance": 23} if task_id == "enough_credits" else "m-1"


@pytest.fixture
def env(tmp_path):
    with Emulator(credits=CREDITS_AT_START, api_key="sk-of-the-demo") as emulator:
        yield SimpleNamespace(emulator=emulator, airflow=SimpleNamespace(home=tmp_path))


def failed(env, run=None, evidence=None):
    return {check.what for check in check_run(env, run or FinishedRun(), evidence or Evidence()) if not check.passed}


def buy(env):
    checkout = BillingClient(env.emulator.api_key, base_url=env.emulator.base_url).topup(20)
    env.emulator.pay(checkout.id)


def test_checks_fail_when_nothing_happened(env):
    assert {PAID, LINK, WORKER, CREDITS} <= failed(env)


def test_second_checkout_fails_its_check(env):
    buy(env)
    assert PAID not in failed(env)

    buy(env)

    assert PAID in failed(env)


def test_missing_credits_fail_their_check(env):
    buy(env)
    env.emulator.charge(CREDITS_PER_VIDEO)
    assert CREDITS not in failed(env)

    env.emulator.charge(1)

    assert CREDITS in failed(env)


def test_other_link_on_page_fails_its_check(env):
    shown = Evidence(payment_link="https://pay/1", links_while_waiting={"https://pay/1"})
    other = Evidence(payment_link="https://pay/1", links_while_waiting={"https://pay/2"})

    assert LINK not in failed(env, evidence=shown)
    assert LINK in failed(env, evidence=other)


def test_failed_run_fails_its_check(env):
    assert SUCCEEDED not in failed(env)
    assert SUCCEEDED in failed(env, FinishedRun(state="failed"))


def test_key_in_log_fails_its_check(env, tmp_path):
    (tmp_path / "scheduler.log").write_text("nothing to see")
    assert check_key(env).passed

    (tmp_path / "task.log").write_text(f"headers: {env.emulator.api_key}")

    assert not check_key(env).passed
    assert "task.log" in check_key(env).seen
