"""
Money safety against SIGKILL: for one task at most one purchase is ever paid, and one payable link handed out.

Twenty times a task's process is killed at a random moment after VideoDB has made its checkout and before the answer is
sent; each time Airflow retries. Then the triggerer is killed while the tasks wait. The emulator counts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading

from dev.airflow.processes import until
from dev.demo.payer import pay

KILLS = 20
# Each run buys for another amount; test_purchase_machine.py shows what tells tasks of one amount apart.
AMOUNTS = range(101, 109)


def test_twenty_killed_workers_and_a_killed_triggerer_make_one_purchase_each(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_kills")
    emulator.add_fault("hang", method="POST", path="/billing/topup", times=KILLS, work=True)
    runs = {amount: live_airflow.api.trigger("live_kills", conf={"amount": amount}) for amount in AMOUNTS}

    kill_every_held_worker(emulator, runs)

    for run in runs.values():
        run.wait_for_task("top_up", "deferred", timeout=300)
    links = {amount: run.xcom("top_up", "payment_url") for amount, run in runs.items()}
    payable = [emulator.payment_url(checkout.id) for checkout in emulator.checkouts() if checkout.status == "pending"]
    # Every killed POST left a checkout behind, whose link nobody has.
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
    """Kill whichever task's process VideoDB keeps waiting, until that has happened `KILLS` times."""
    moments = random.Random()
    killed = set()

    def all_killed():
        for call in emulator.calls("POST", "/billing/topup"):
            if call.fault != "hang" or call.number in killed:
                continue
            pid = runs[json.loads(call.body)["amount"]].task("top_up")["pid"]
            # The random moment is the point here: nothing is waited for.
            threading.Event().wait(moments.uniform(0, 0.3))
            os.kill(pid, signal.SIGKILL)
            killed.add(call.number)
        return len(killed) == KILLS

    until(all_killed, timeout=900, what="all kills")
