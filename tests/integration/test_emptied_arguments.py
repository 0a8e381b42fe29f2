"""
An argument that renders to nothing fails the task.

The task must not read it as "no limit", "no floor" or "nothing to restore". Each template is rendered in process, and
each argument goes through one DAG run.
"""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseNotifier, task

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.version_compat import AirflowFailException
from tests.support.dag_runs import new_dag, run

pytestmark = pytest.mark.usefixtures("airflow_db")

RETRIES = {"retries": 2, "retry_delay": timedelta(0)}


def top_up(**arguments):
    return TopupOperator(**{"amount": 20, "wait_for_payment": False} | arguments)


def ensure(**arguments):
    return EnsureCreditsOperator(**{"credits": 100} | arguments)


def recharge(**arguments):
    settings = {} if "restore" in arguments else {"threshold": 20, "amount": 100}
    return AutoRechargeOperator(**settings | arguments)


#: Limits, floors and settings to restore, which have no default.
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
def test_empty_template_is_named_before_anything_is_sent(emulator, operator, argument, template, native):
    with new_dag("in_process", render_template_as_native_obj=native):
        emptied = operator(task_id="task", **{argument: template})
    emptied.render_template_fields({})

    with pytest.raises(AirflowFailException, match=rf"^{argument}\b"):
        emptied.execute({"ti": SimpleNamespace(xcom_push=lambda **_: None)})
    assert emulator.calls() == []


@pytest.mark.parametrize(("operator", "argument"), OTHERS)
def test_empty_template_fails_task_without_retry(emulator, operator, argument):
    with new_dag("emptied", render_template_as_native_obj=True) as dag:
        operator(task_id="task", **RETRIES, **{argument: "{{ none }}"})

    assert refused(run(dag))
    assert emulator.calls() == []


@pytest.mark.parametrize(("operator", "argument"), GUARDS)
def test_empty_xcom_fails_task_without_retry(emulator, operator, argument):
    with new_dag("from_a_task") as dag:

        @task
        def guard() -> Any:
            return None

        operator(task_id="task", **RETRIES, **{argument: guard()})

    assert refused(run(dag))
    assert emulator.calls() == []


@pytest.mark.parametrize(
    ("operator", "argument", "usual", "value"),
    [
        (TopupOperator, "max_amount", 50, None),
        (TopupOperator, "max_amount", 50, ""),
        (TopupOperator, "only_if_below", 2, None),
        (EnsureCreditsOperator, "max_amount", 50, None),
        (AutoRechargeOperator, "threshold", 20, None),
        (AutoRechargeOperator, "amount", 20, None),
    ],
)
def test_empty_guard_of_mapped_row_fails_task(emulator, operator, argument, usual, value):
    row = {TopupOperator: {"amount": 60}, EnsureCreditsOperator: {"credits": 63}, AutoRechargeOperator: {}}[operator]
    with new_dag("mapped", default_args={argument: usual}) as dag:
        operator.partial(task_id="task", **RETRIES).expand_kwargs([{**row, argument: value}])

    assert refused(run(dag))
    assert emulator.calls() == []


@pytest.mark.parametrize("mapped", [False, True])
def test_guard_of_default_args_holds(emulator, mapped):
    with new_dag("guarded", default_args={"max_amount": 50}) as dag:
        if mapped:
            TopupOperator.partial(task_id="task").expand(amount=[60])
        else:
            TopupOperator(task_id="task", amount=60)

    assert refused(run(dag))
    assert emulator.calls("POST") == []


def test_argument_that_is_not_given_limits_nothing(emulator):
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
    """Sets a limit and its own template field after our constructor."""

    template_fields = (*TopupOperator.template_fields, "reason")

    def __init__(self, *, limit: str, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.max_amount = limit


def test_empty_guard_of_subclass_fails_task(emulator):
    with new_dag("later", render_template_as_native_obj=True) as dag:
        Limited(
            task_id="task",
            amount=60,
            wait_for_payment=False,
            limit="{{ none }}",
            reason="{{ none }}",
            **RETRIES,
        )

    assert refused(run(dag))
    assert emulator.calls() == []


def test_guard_of_subclass_holds(emulator):
    with new_dag("later", params={"limit": 50}) as dag:
        Limited(task_id="task", amount=60, limit="{{ params.limit }}", reason="{{ ds }}")

    assert refused(run(dag))
    assert emulator.calls("POST") == []


@pytest.mark.parametrize("attribute", ["deferrable", "wait_for_payment"])
def test_text_is_not_taken_for_a_flag(emulator, attribute):
    with new_dag("mistaken") as dag:
        operator = top_up(task_id="task", **RETRIES)
        # A cluster policy sets attributes after the constructor as well.
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


def test_shared_notifier_tells_each_task_its_own_link(emulator):
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
