"""A task that waits in a triggerer, and reminds a person by mail until the link is paid."""

from __future__ import annotations

import json
import os

import pytest

from dev.airflow.processes import until
from dev.demo.payer import pay
from tests.support.inbox import MAIL, open_inbox

DAG_ID = "live_reminders"
PLEASE, REMINDER, PAID = "Please pay 20 USD", "Reminder: please pay 20 USD", "Paid: 20 USD"


@pytest.fixture
def inbox(monkeypatch, live_airflow):
    with open_inbox(monkeypatch) as opened:
        mail = json.loads(os.environ[f"AIRFLOW_CONN_{MAIL.upper()}"])
        live_airflow.api.set_connection(MAIL, **(mail | {"extra": json.dumps(mail["extra"])}))
        yield opened
        live_airflow.api.delete_connection(MAIL)


def starts_of(inbox):
    return [subject.partition(" for VideoDB")[0] for subject in inbox.subjects]


def test_reminders_hold_no_worker_and_end_with_the_payment(live_airflow, emulator, inbox):
    live_airflow.api.wait_for_dag(DAG_ID)
    run = live_airflow.api.trigger(DAG_ID)
    until(lambda: starts_of(inbox)[:3] == [PLEASE, REMINDER, REMINDER], timeout=90, what="two reminders")
    run.wait_for_task("top_up", "deferred")
    assert run.task("top_up")["try_number"] == 1

    live_airflow.restart("triggerer")
    sent = len(inbox.subjects)
    until(lambda: len(inbox.subjects) > sent, timeout=90, what="a reminder after the restart")
    pay(run.xcom("top_up", "payment_url"))

    assert run.wait(timeout=90) == "success"
    told = starts_of(inbox)
    assert told[0] == PLEASE
    assert told[-1] == PAID
    assert set(told[1:-1]) == {REMINDER}
    [checkout] = emulator.checkouts()
    assert checkout.status == "completed"
