"""A person who responds to Airflow's Required Actions while `dag.test()` runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS

ADA = {"id": "7", "name": "Ada"}


@dataclass
class Approver:
    """
    Responds once to each request, as the public API does.

    :param choose: returns what to choose from the options; ``None`` lets the time run out.
    """

    choose: Callable[[list[str]], list[str] | None] = lambda options: options[:1]
    before_response: Callable[[], object] = lambda: None
    user: dict[str, str] | None = field(default_factory=lambda: dict(ADA))
    seen: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)

    def __enter__(self) -> Approver:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _attend(self) -> None:
        while not self._over.wait(0.2):
            self._respond_to_all()

    def _respond_to_all(self) -> None:
        from airflow.models.hitl import HITLDetail
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            waiting = session.scalars(
                select(TaskInstance).where(TaskInstance.state.in_(("awaiting_input", "deferred")))
            ).all()
            for ti in waiting:
                detail = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == ti.id))
                if detail is not None and detail.responded_at is None:
                    self._respond(ti, detail, session)

    def _respond(self, ti: Any, detail: Any, session: Any) -> None:
        from airflow.models.trigger import handle_event_submit
        from airflow.sdk import timezone
        from airflow.triggers.base import TriggerEvent

        self.seen.append({"subject": detail.subject, "body": detail.body, "options": list(detail.options)})
        self.before_response()
        chosen = self.choose(list(detail.options))
        if chosen is None:
            self._sweep(session, ti)
            return
        detail.responded_by, detail.responded_at = self.user, timezone.utcnow()
        detail.chosen_options, detail.params_input = chosen, {}
        if RESPONSES_RESUME_TASKS:
            event = TriggerEvent(detail.as_resume_event_payload())
            handle_event_submit(event, task_instance=ti, session=session)

    def _sweep(self, session: Any, ti: Any) -> None:
        """Let the time run out, as Airflow's scheduler does."""
        from datetime import timedelta

        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.sdk import timezone

        ti.trigger_timeout = timezone.utcnow() - timedelta(seconds=1)
        session.flush()
        SchedulerJobRunner(job=Job()).check_awaiting_input_timeouts(session=session)
