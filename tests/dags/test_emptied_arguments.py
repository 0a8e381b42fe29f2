"""An argument whose template comes to nothing is a mistake, and not "no limit", "no floor" or "nothing to restore"."""

from __future__ import annotations

import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_videodb.operators.billing import AutoRechargeOperator, EnsureCreditsOperator, TopupOperator
from tests.support.dag_runs import new_dag, run

pytestmark = pytest.mark.usefixtures("airflow_db")

EMPTY = "{{ none }}"


def top_up(**arguments):
    return TopupOperator(**{"amount": 20, "wait_for_payment": False} | arguments)


@pytest.mark.parametrize(
    ("operator", "argument"),
    [
        (top_up, "only_if_below"),
        (top_up, "max_amount"),
        (top_up, "redirect_url"),
        (top_up, "currency"),
        (AutoRechargeOperator, "restore"),
        (AutoRechargeOperator, "threshold"),
        (AutoRechargeOperator, "amount"),
    ],
)
def test_a_template_that_renders_to_none_stops_the_task_before_anything_is_sent(emulator, operator, argument):
    with new_dag("emptied", render_template_as_native_obj=True) as dag:
        operator(task_id="task", retries=2, **{argument: EMPTY})

    finished = run(dag)

    assert finished.task_state("task") == "failed"
    assert finished.tries("task") == 1
    assert emulator.calls() == []


@pytest.mark.parametrize(
    ("operator", "mistake"),
    [
        (top_up, {"wait_for_payment": "False"}),
        (top_up, {"durable": "False"}),
        (top_up, {"deferrable": 0}),
        (top_up, {"currency": ""}),
        (top_up, {"notifiers": print}),
        (lambda **arguments: EnsureCreditsOperator(credits=100, **arguments), {"topup": "False"}),
    ],
    ids=str,
)
def test_words_are_not_guessed_at(emulator, operator, mistake):
    with new_dag("mistaken") as dag:
        operator(task_id="task", retries=2, **mistake)

    finished = run(dag)

    assert finished.task_state("task") == "failed"
    assert finished.tries("task") == 1
    assert emulator.calls() == []


class Tell(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text, told):
        super().__init__()
        self.text = text
        self.told = told

    def notify(self, context):
        self.told.append(self.text)


def test_one_notifier_on_two_tasks_tells_each_its_own_link(emulator):
    told = []
    tell = Tell("{{ task.task_id }}: {{ task.payment_url }}", told)
    with new_dag("two_tasks") as dag:
        first = top_up(task_id="first", amount=11, notifiers=[tell])
        second = top_up(task_id="second", amount=12, notifiers=[tell])
        first >> second

    finished = run(dag)

    links = {task_id: finished.result(task_id)["payment_url"] for task_id in ("first", "second")}
    assert told == [f"{task_id}: {link}" for task_id, link in links.items()]
    assert len(set(links.values())) == 2
