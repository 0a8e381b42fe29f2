"""Each example DAG does what its docstring says, run as it stands."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import example_dags
from tests.support.dag_runs import run

pytestmark = pytest.mark.usefixtures("airflow_db")

FOLDER = Path(next(iter(example_dags.__path__)))


def example(name):
    """Import an example afresh and return its DAG."""
    module = importlib.reload(importlib.import_module(f"example_dags.{name}"))
    return getattr(module, name)()


@pytest.fixture
def paid_soon(emulator):
    """An account whose owner pays every link after half a second; an indexed video costs 4 credits."""
    emulator.change_settings(pay_after=0.5, price_index=4)
    return emulator


def test_every_example_is_tested_here():
    tested = {"auto_recharge", "credit_gate", "ensure_credits", "top_up_and_notify"}

    assert {path.stem for path in FOLDER.glob("*.py")} == tested


def test_credit_gate_tops_up_waits_and_indexes_three_videos(paid_soon):
    finished = run(example("credit_gate"))

    assert finished.state == "success"
    assert finished.result("top_up")["amount"] == 20
    assert finished.result("enough_credits")["credit_balance"] == 23
    assert len(paid_soon.calls("POST", "/video/*/index", accepted=True)) == 3
    assert paid_soon.balance == 3 + 20 - 3 * 4


def test_top_up_and_notify_hands_the_one_link_to_the_notifier_and_reports(paid_soon, caplog, capfd):
    finished = run(example("top_up_and_notify"))

    assert finished.state == "success"
    (checkout,) = paid_soon.checkouts()
    output = capfd.readouterr().out + caplog.text
    link = paid_soon.payment_url(checkout.id)
    assert f"Please pay for the credits of top_up_and_notify: {link}" in output
    assert finished.result("report") == "Paid 50 USD: the balance was 3 and is 53 credits."


def test_auto_recharge_is_on_while_the_videos_are_indexed_and_brought_back_afterwards(paid_soon):
    paid_soon.set_auto_recharge(enabled=False, threshold=7, amount=30)
    paid_soon.set_balance(21)

    finished = run(example("auto_recharge"))

    assert finished.state == "success"
    assert finished.result("recharge_on")["after"] == {"enabled": True, "threshold": 20, "amount": 100}
    # Indexing took the balance below 20, and VideoDB recharged by itself.
    assert paid_soon.balance == 21 - 4 + 100
    after = paid_soon.auto_recharge
    assert (after.enabled, after.threshold, after.amount) == (False, 7, 30)


def test_auto_recharge_is_brought_back_although_the_videos_fail(paid_soon):
    paid_soon.set_auto_recharge(enabled=False, threshold=7, amount=30)
    paid_soon.add_fault("status", path="/collection/*", status=400, times=None)

    finished = run(example("auto_recharge"))

    assert finished.task_state("index_videos") == "failed"
    assert finished.task_state("recharge_back") == "success"
    assert not paid_soon.auto_recharge.enabled
    assert paid_soon.auto_recharge.threshold == 7


def test_ensure_credits_buys_what_is_missing_at_one_dollar_a_credit(paid_soon):
    finished = run(example("ensure_credits"))

    assert finished.state == "success"
    assert finished.result("ensure_credits")["amount"] == 117
    assert finished.result("ensure_credits")["balance_after"] == 120


def test_ensure_credits_buys_for_ten_dollars_at_least(paid_soon):
    paid_soon.set_balance(119)

    finished = run(example("ensure_credits"))

    assert finished.result("ensure_credits")["amount"] == 10


def test_ensure_credits_goes_on_at_once_when_the_balance_suffices(paid_soon):
    paid_soon.set_balance(120)

    finished = run(example("ensure_credits"))

    assert finished.result("ensure_credits")["status"] == "not_needed"
    assert paid_soon.calls("POST") == []
