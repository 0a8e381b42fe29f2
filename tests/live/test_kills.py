"""
Twenty killed workers and a killed triggerer leave one purchase per task.

VideoDB makes a checkout and holds the response, and SIGKILL ends the task. Airflow retries it. This happens twenty
times. Then the triggerer is killed while the tasks wait. The emulator counts the checkouts and payments.
"""

from __future__ import annotations

import json
import os
import signal

from dev.airflow.processes import until
from dev.demo.payer import pay

KILLS = 20
# Each run has its own amount. test_purchase_machine.py covers tasks with the same amount.
AMOUNTS = range(101, 109)


def test_killed_workers_and_triggerer_pay_once_per_task(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_kills")
    emulator.add_fault("hang", method="POST", path="/billing/topup", times=KILLS, work=True)
    runs = {amount: live_airflow.api.trigger("live_kills", conf={"amount": amount}) for amount in AMOUNTS}

    kill_every_held_worker(emulator, runs)

    for run in runs.values():
        run.wait_for_task("top_up", "deferred", timeout=300)
    links = {amount: run.xcom("top_up", "payment_url") for amount, run in runs.items()}
    payable = [emulator.payment_url(checkout.id) for checkout in emulator.checkouts() if checkout.status == "pending"]
    # Each killed POST left an orphan, a checkout without a known link.
    assert len(payable) == KILLS + len(AMOUNTS)
    assert set(links.values()) <= set(payable)
    assert len(set(links.values())) == len(AMOUNTS)

    live_airflow.kill("triggerer")
    for link in links.values():
        pay(link)
    live_airflow.restart("triggerer")

    for amount, run in runs.items():
        assert run.wait(timeout=180) == "success"
        assert run.xcom("top_up")["payment_url"] == links[amount]
    paid = sorted(int(checkout.amount) for checkout in emulator.checkouts() if checkout.status == "completed")
    assert paid == list(AMOUNTS)


def kill_every_held_worker(emulator, runs):
    """Kill each task whose POST is held, until `KILLS` have died."""
    killed = set()

    def all_killed():
        for call in emulator.calls("POST", "/billing/topup"):
            if call.fault != "hang" or call.number in killed:
                continue
            pid = runs[json.loads(call.body)["amount"]].task("top_up")["pid"]
            os.kill(pid, signal.SIGKILL)
            killed.add(call.number)
        return len(killed) == KILLS

    until(all_killed, timeout=900, what="all kills")
