"""A person who responds to Airflow's Required Actions while `dag.test()` runs."""

from __future__ import annotations

import pkgutil
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS
from tests.support.purchases import TASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.purchases import Bought

ADA = {"id": "7", "name": "Ada"}


@dataclass
class Approver:
    """
    Responds once to each request, as Airflow's public API does.

    :param choose: returns what to choose from the options; ``None`` lets the time run out.
    """

    choose: Callable[[list[str]], list[str] | None] = lambda options: options[:1]
    before_response: Callable[[], object] = lambda: None
    user: dict[str, str] | None = field(default_factory=lambda: dict(ADA))
    seen: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)
    is_silent: bool = False

    @contextmanager
    def attends(self) -> Iterator[Approver]:
        """Respond whenever `dag.test()` waits for a person."""
        with self._attends_triggers(), self._attends_parked_tasks() if RESPONSES_RESUME_TASKS else nullcontext():
            yield self

    @contextmanager
    def _attends_parked_tasks(self) -> Iterator[None]:
        # A response at any other moment would be lost, because dag.test() then writes the state of the task.
        sleep = time.sleep

        def look_or_sleep(seconds: float) -> None:
            is_waiting = sys._getframe(1).f_code.co_qualname.endswith("DAG.test")
            self.look() if is_waiting else sleep(seconds)

        with patch("time.sleep", look_or_sleep):
            yield

    @contextmanager
    def _attends_triggers(self) -> Iterator[None]:
        # A trigger inside dag.test() cannot ask Airflow's API server for the response.
        hitl = "airflow.providers.standard.triggers.hitl"
        handle = pkgutil.resolve_name(f"{hitl}:HITLTrigger._handle_response")

        async def look_first(trigger: Any) -> Any:
            trigger.poke_interval = 0.05
            self.look(trigger.ti_id)
            if self.is_silent:
                trigger.timeout_datetime = datetime.min.replace(tzinfo=UTC)
                return None
            return await handle(trigger)

        with (
            patch(f"{hitl}.HITLTrigger._handle_response", look_first),
            patch(f"{hitl}.get_hitl_detail_content_detail", _stored_response),
        ):
            yield

    def look(self, ti_id: object = None) -> None:
        """Respond to each request that waits, or to that of one task instance."""
        from airflow.models.hitl import HITLDetail
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            for detail in session.scalars(select(HITLDetail)).all():
                ti: Any = session.get(TaskInstance, detail.ti_id)
                is_meant = _is_same(detail.ti_id, ti_id) if ti_id else ti.state in {"awaiting_input", "deferred"}
                if is_meant and detail.responded_at is None:
                    self._respond(ti, detail, session, resumes=RESPONSES_RESUME_TASKS and ti_id is None)
                elif is_meant and ti.state == "awaiting_input":
                    # Airflow has resumed the task already, and dag.test() has overwritten its state since.
                    _resume(ti, detail, session)

    def _respond(self, ti: Any, detail: Any, session: Any, *, resumes: bool) -> None:
        from airflow.sdk import timezone

        self.seen.append({"subject": detail.subject, "body": detail.body, "options": list(detail.options)})
        self.before_response()
        chosen = self.choose(list(detail.options))
        self.is_silent = chosen is None
        if chosen is None:
            if resumes:
                _let_time_run_out(ti, session)
            return
        detail.responded_by, detail.responded_at = self.user, timezone.utcnow()
        detail.chosen_options, detail.params_input = chosen, {}
        if resumes:
            _resume(ti, detail, session)


def _resume(ti: Any, detail: Any, session: Any) -> None:
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent

    handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=ti, session=session)


def _let_time_run_out(ti: Any, session: Any) -> None:
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.sdk import timezone

    ti.trigger_timeout = timezone.utcnow() - timedelta(seconds=1)
    session.flush()
    SchedulerJobRunner(job=Job()).check_awaiting_input_timeouts(session=session)


def _is_same(stored: object, ti_id: object) -> bool:
    """Compare the ids of two task instances. Stored ones are text in Airflow 3.1."""
    return str(stored) == str(ti_id)


def _stored_response(ti_id: Any) -> Any:
    """Return what Airflow's API server would say about a request."""
    from airflow.models.hitl import HITLDetail
    from airflow.sdk.api.datamodels._generated import HITLDetailResponse
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        [detail] = (one for one in session.scalars(select(HITLDetail)) if _is_same(one.ti_id, ti_id))
        return HITLDetailResponse.model_validate(detail, from_attributes=True)


def cleared(bought: Bought) -> None:
    """Clear the task as the API does, which raises `max_tries`."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        tis = session.scalars(
            select(TaskInstance).where(TaskInstance.task_id == TASK, TaskInstance.run_id == bought.run.dag_run.run_id)
        ).all()
        clear_task_instances(list(tis), session)
