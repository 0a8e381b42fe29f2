"""What a scheduler and a triggerer's supervisor hand to a trigger that begins without a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import psutil
import structlog
from airflow.sdk.execution_time.supervisor import (
    InProcessSupervisorComms,
    InProcessTestSupervisor,
    set_supervisor_comms,
)

from tests.support.compat import DagSerialization, TaskInstanceDTO

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.support.dag_runs import Run


def stored_form(dag: DAG) -> Any:
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def as_the_scheduler_starts(dag: DAG, finished: Run) -> dict[str, Any]:
    """Return what a scheduler and the triggerer's supervisor hand to the triggerer."""
    start = stored_form(dag).get_task("gate").start_trigger_args
    return {"classpath": start.trigger_cls, "kwargs": start.trigger_kwargs} | of_the_run(dag, finished)


def of_the_run(dag: DAG, finished: Run) -> dict[str, Any]:
    return {
        "ti": TaskInstanceDTO.model_validate(finished._task_instance("gate"), from_attributes=True),
        "dag_data": DagSerialization.to_dict(dag),
        "dag_run_data": finished.dag_run.dag_run_data.model_dump(exclude_unset=True),
    }


def comms_of(finished: Run, dag: DAG) -> Any:
    """Let templates read XComs as they do in the triggerer: from the execution API."""
    supervisor = InProcessTestSupervisor(
        id=finished._task_instance("gate").id,
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger("task"),
        client=InProcessTestSupervisor._api_client(dag),
    )
    supervisor.comms = InProcessSupervisorComms(supervisor=supervisor)
    return set_supervisor_comms(supervisor.comms)


def set_waiting(finished: Run, task_id: str) -> None:
    """Let a run and its task look as while the task waits in the triggerer."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.id == finished.dag_run.id).values(_state="running"))
        ti_id = finished._task_instance(task_id).id
        session.execute(update(TaskInstance).where(TaskInstance.id == ti_id).values(state="deferred"))
