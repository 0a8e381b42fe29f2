"""An argument whose template comes to nothing is a mistake, and not "no limit", "no floor" or "nothing to restore"."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import BaseNotifier, task

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from tests.support.dag_runs import new_dag, run

pytestmark = pytest.mark.usefixtures("airflow_db")

NO_DELAY = timedelta(0)


def top_up(**arguments):
    return TopupOperator(**{"amount": 20, "wait_for_payment": False} | arguments)


def ensure(**arguments):
    return EnsureCreditsOperator(**{"credits": 100} | arguments)


def recharge(**arguments):
    return AutoRechargeOperator(**{"threshold": 20, "amount": 100} | arguments)


#: What must not count as "no limit", "no floor" or "nothing to restore" when it holds nothing.
GUARDS = [
    (top_up, "only_if_below"),
    (top_up, "max_amount"),
    (ensure, "max_amount"),
    (recharge, "threshold"),
    (recharge, "amount"),
    (recharge, "restore"),
]
OTHERS = [
    (top_up, "amount"),
    (top_up, "redirect_url"),
    (top_up, "currency"),
    (ensure, "credits"),
    (ensure, "usd_per_credit"),
    (ensure, "min_amount"),
]


def refused(finished, task_id="task"):
    return (finished.task_state(task_id), finished.tries(task_id)) == ("failed", 1)


@pytest.mark.parametrize(("operator", "argument"), [*GUARDS, *OTHERS])
@pytest.mark.parametrize(
    ("template", "native"),
    [
        ("{{ none }}", True),
        ("{{ '' }}", True),
        ("{{ '  ' }}", True),
        ("{{ '' }}", False),
        ("{{ '  ' }}", False),
    ],
)
def test_a_template_that_renders_to_nothing_stops_the_task_before_anything_is_sent(
    emulator, operator, argument, template, native
):
    with new_dag("emptied", render_template_as_native_obj=native) as dag:
        operator(task_id="task", retries=2, retry_delay=NO_DELAY, **{argument: template})

    assert refused(run(dag))
    assert emulator.calls() == []


@pytest.mark.parametrize(("operator", "argument"), GUARDS)
@pytest.mark.parametrize("value", [None, "", "  "], ids=repr)
def test_a_guard_that_another_task_leaves_empty_stops_the_task(emulator, operator, argument, value):
    with new_dag("from_a_task") as dag:

        @task
        def guard() -> Any:
            return value

        operator(task_id="task", retries=2, retry_delay=NO_DELAY, **{argument: guard()})

    assert refused(run(dag))
    assert emulator.calls() == []


@pytest.mark.parametrize(
    ("operator", "argument", "usual"),
    [
        (TopupOperator, "max_amount", 50),
        (TopupOperator, "only_if_below", 2),
        (EnsureCreditsOperator, "max_amount", 50),
        (AutoRechargeOperator, "threshold", 20),
        (AutoRechargeOperator, "amount", 20),
    ],
)
@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_a_mapped_row_that_leaves_a_guard_empty_does_not_lift_the_usual_one(emulator, operator, argument, usual, value):
    row = {TopupOperator: {"amount": 60}, EnsureCreditsOperator: {"credits": 63}, AutoRechargeOperator: {}}[operator]
    with new_dag("mapped", default_args={argument: usual}) as dag:
        operator.partial(task_id="task", retries=2, retry_delay=NO_DELAY).expand_kwargs([{**row, argument: value}])

    assert refused(run(dag))
    assert emulator.calls() == []


@pytest.mark.parametrize("mapped", [False, True])
def test_a_guard_of_the_default_args_holds_where_nothing_else_is_given(emulator, mapped):
    with new_dag("guarded", default_args={"max_amount": 50}) as dag:
        if mapped:
            TopupOperator.partial(task_id="task").expand(amount=[60])
        else:
            TopupOperator(task_id="task", amount=60)

    assert refused(run(dag))
    assert emulator.calls("POST") == []


def test_a_guard_that_is_not_given_is_no_guard(emulator):
    with new_dag("unguarded") as dag:
        top_up(task_id="task", amount=60)

    assert run(dag).state == "success"
    (checkout,) = emulator.checkouts()
    assert checkout.amount == 60


def test_currency_and_redirect_url_may_be_none(emulator):
    with new_dag("harmless") as dag:
        top_up(task_id="task", currency=None, redirect_url=None)

    assert run(dag).state == "success"


class Limited(TopupOperator):
    """Sets an argument of ours, and a template field of its own, after our constructor."""

    template_fields = (*TopupOperator.template_fields, "reason")

    def __init__(self, *, limit: str, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.max_amount = limit


def test_a_guard_that_a_subclass_sets_later_must_not_render_to_none(emulator):
    with new_dag("later", render_template_as_native_obj=True) as dag:
        Limited(
            task_id="task",
            amount=60,
            wait_for_payment=False,
            limit="{{ none }}",
            reason="{{ none }}",
            retries=2,
            retry_delay=NO_DELAY,
        )

    assert refused(run(dag))
    assert emulator.calls() == []


def test_a_guard_that_a_subclass_sets_later_holds(emulator):
    with new_dag("later", params={"limit": 50}) as dag:
        Limited(task_id="task", amount=60, limit="{{ params.limit }}", reason="{{ ds }}")

    assert refused(run(dag))
    assert emulator.calls("POST") == []


@pytest.mark.parametrize("attribute", ["deferrable", "wait_for_payment"])
def test_words_are_not_guessed_at(emulator, attribute):
    with new_dag("mistaken") as dag:
        operator = top_up(task_id="task", retries=2, retry_delay=NO_DELAY)
        # As a cluster policy does, which comes after the constructor.
        setattr(operator, attribute, "False")

    assert refused(run(dag))
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
