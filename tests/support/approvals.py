"""A person who responds to Airflow's Required Actions while `dag.test()` runs."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
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

    @contextmanager
    def attends(self) -> Iterator[Approver]:
        """Respond whenever `dag.test()` waits for a person."""
        if RESPONSES_RESUME_TASKS:
            # A response at any other moment would be lost, because dag.test() then writes the state of the task.
            sleep = time.sleep

            def look_or_sleep(seconds: float) -> None:
                is_waiting = sys._getframe(1).f_code.co_qualname.endswith("DAG.test")
                self.look() if is_waiting else sleep(seconds)

            with patch("time.sleep", look_or_sleep):
                yield self
            return
        over = threading.Event()
        thread = threading.Thread(target=lambda: [self.look() for _ in iter(lambda: over.wait(0.3), True)], daemon=True)
        thread.start()
        yield self
        over.set()
        thread.join()

    def look(self) -> None:
        """Respond to each request that waits."""
        from airflow.models.hitl import HITLDetail
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        states = ("awaiting_input", "deferred") if RESPONSES_RESUME_TASKS else ("deferred", "queued")
        with create_session() as session:
            for ti in session.scalars(select(TaskInstance).where(TaskInstance.state.in_(states))).all():
                detail = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == ti.id))
                if detail is not None and detail.responded_at is None:
                    self._respond(ti, detail, session)
                elif detail is not None and ti.state == "awaiting_input":
                    # Airflow has resumed the task already, and dag.test() has overwritten its state since.
                    _resume(ti, detail, session)

    def _respond(self, ti: Any, detail: Any, session: Any) -> None:
        from airflow.sdk import timezone

        self.seen.append({"subject": detail.subject, "body": detail.body, "options": list(detail.options)})
        self.before_response()
        chosen = self.choose(list(detail.options))
        if chosen is None:
            _let_time_run_out(ti, session)
            return
        detail.responded_by, detail.responded_at = self.user, timezone.utcnow()
        detail.chosen_options, detail.params_input = chosen, {}
        if RESPONSES_RESUME_TASKS:
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
