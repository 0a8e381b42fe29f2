"""Checks in a worker that a job's gate holds credits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBNoHoldError
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.messages import number
from airflow_provider_videodb.holds.rules.releasing import held_by
from airflow_provider_videodb.operators._arguments import fail_without_retry
from airflow_provider_videodb.operators._gate_holders import holders_of_gate

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def check_hold(context: Context, gate: str, *, is_audit: bool) -> None:
    """
    Fail the job if its gate holds no credits now.

    A retry would find the same, so Airflow does not retry the job.

    :param gate: the task id of the gate.
    :raises AirflowFailException: if it holds none.
    :raises VideoDBError: if Airflow does not respond.
    """
    task: Any = context["task"]
    if is_audit:
        task.log.info("Audit: with hold=True this job would need credits of task %s.", gate)
        return
    with fail_without_retry(task.log):
        found = holders_of_gate(context, gate)
        held = held_by(Ledger(None).pages(), found.same_index if found.shares_group else found.all)
        if held:
            credits = sum((flag.credits for flag in held), Decimal(0))
            task.log.info("Task %s holds %s credits for this job.", gate, number(credits))
            return
        if _is_resuming(context):
            task.log.warning("Task %s no longer holds credits.", gate)
            task.log.warning("This job has begun, so it continues.")
            return
        raise VideoDBNoHoldError(
            f"Task {gate!r} holds no credits in this DAG run. This job did not run, because it would count on credits "
            f"that others may take. Next step: put this task after task {gate!r}, or clear both together."
        )


def _is_resuming(context: Context) -> bool:
    """Tell whether a deferred job resumes."""
    # Airflow has no public way to find out.
    ti: Any = context["ti"]
    return getattr(getattr(ti, "_ti_context_from_server", None), "next_method", None) is not None
