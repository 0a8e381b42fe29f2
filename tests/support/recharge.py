"""A pair of tasks around a job that turns automatic recharge on and restores it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState, get_current_context, task

from airflow_provider_videodb.holds.rules.recharge import PREFIX
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from tests.support.dag_runs import Run, new_dag, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from airflow_provider_videodb.emulator.server import Emulator

PATH = "/billing/auto_recharge"
NOTES = "videodb_auto_recharge__"
#: Reads of a setup before the one after its write. With flags it reads again once its flag is there.
READS_BEFORE_EFFECT = 2 if VARIABLES_CAN_BE_LISTED else 1


def stored(emulator: Emulator) -> tuple[bool, Decimal | None, Decimal | None]:
    settings = emulator.auto_recharge
    return settings.enabled, settings.threshold, settings.amount


def writes(emulator: Emulator) -> int:
    return len(emulator.calls("POST"))


def notes() -> dict[str, Any]:
    """Return what is kept in notes, by the task that keeps it."""
    return {key.split("__")[-3]: json.loads(value) for key, value in variables(NOTES).items()}


def flags() -> list[str]:
    """Return the flags of all pipelines, without their prefix."""
    return [key.removeprefix(PREFIX) for key in variables(PREFIX)]


def variables(prefix: str) -> dict[str, str]:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        kept = session.scalars(select(Variable).where(Variable.key.startswith(prefix))).all()
        return {variable.key: variable.get_val() for variable in kept}


def clear(*task_ids: str) -> None:
    """Clear tasks of the DAG run that the calling task is in, as a person does while it runs."""
    from airflow.models.taskinstance import clear_task_instances

    with task_instances(*task_ids) as (session, chosen):
        clear_task_instances(chosen, session)


def mark_failed(task_id: str) -> None:
    """Mark a task of that DAG run as failed."""
    with task_instances(task_id) as (session, (chosen,)):
        chosen.set_state(TaskInstanceState.FAILED, session=session)


@contextmanager
def task_instances(*task_ids: str) -> Iterator[tuple[Any, list[Any]]]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ti = get_current_context()["ti"]
    with create_session() as session:
        chosen = select(TaskInstance).where(
            TaskInstance.dag_id == ti.dag_id, TaskInstance.run_id == ti.run_id, TaskInstance.task_id.in_(task_ids)
        )
        yield session, list(session.scalars(chosen))


def once(*acts: Callable[[], object]) -> Callable[[], None]:
    """Do all of it the first time."""
    left = list(acts)

    def act() -> None:
        while left:
            left.pop(0)()

    return act


def run_in_order(*steps: str | Callable[[], object], **wants: dict[str, Any]) -> Run:
    """
    Run overlapping pairs in one DAG run, one task after the other.

    :param steps: ``on_x``, ``back_x``, or what a task between them does.
    :param wants: the arguments of a setup by its name ``on_x``.
    """
    done: list[Any] = []
    setups: dict[str, AutoRechargeOperator] = {}
    with new_dag("overlapping") as dag:
        for number, step in enumerate(steps):
            if callable(step):
                following: Any = task(task_id=f"step_{number}")(step)()
            elif step.startswith("on_"):
                following = AutoRechargeOperator(task_id=step, **{"threshold": 20, "amount": 100} | wants.get(step, {}))
                setups[step] = following
            else:
                setup = setups[step.replace("back_", "on_")]
                following = AutoRechargeOperator(task_id=step, restore=setup.output)
            if done:
                done[-1] >> following
            done.append(following)
    return run(dag)


class Pair:
    """
    One run of `on >> job >> back`, the latter a teardown, with a task after the job so that its failure counts.

    :param job: what happens while the job works.
    :param afterwards: what happens after the teardown.
    """

    def __init__(
        self,
        *,
        job: Callable[[], object] = lambda: None,
        afterwards: Callable[[], object] | None = None,
        on: dict[str, Any] | None = None,
        back: dict[str, Any] | None = None,
    ) -> None:
        self.errors: dict[str, list[BaseException]] = {"on": [], "back": []}
        common = {"retry_delay": timedelta(0), "on_retry_callback": self._keep, "on_failure_callback": self._keep}
        with new_dag("pair") as dag:
            setup = AutoRechargeOperator(task_id="on", **common | {"threshold": 20, "amount": 100} | (on or {}))
            teardown = AutoRechargeOperator(task_id="back", **common | {"restore": setup.output} | (back or {}))
            working = task(task_id="job")(job)()
            setup >> working >> teardown.as_teardown(setups=setup, on_failure_fail_dagrun=True)
            working >> task(task_id="report")(lambda: None)()
            if afterwards is not None:
                teardown >> task(task_id="afterwards")(afterwards)()
        self.run: Run = run(dag)

    def states(self) -> tuple[str, str, str]:
        """Return how setup, teardown and run ended."""
        return self.run.task_state("on"), self.run.task_state("back"), self.run.state

    def _keep(self, context: Any) -> None:
        self.errors[context["ti"].task_id].append(context["exception"])
