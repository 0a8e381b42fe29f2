"""How a market comes to rest: nothing goes wrong any more, and every task ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import (
    VideoDBLimitExceededError,
    VideoDBPaymentTimeoutError,
    VideoDBResponseError,
)
from tests.support.market.tasks import Kind

if TYPE_CHECKING:
    from tests.support.market.tasks import Task

#: A try can begin from these; a user can bring a task back from the others.
READY = (None, "restarting", "up_for_retry")
_NO_TIME = timedelta(0)


class Rest:
    """The end of a market."""

    def bring_to_rest(self) -> None:
        """Let nothing go wrong any more, everybody pay and resolve, and see that every task ends."""
        self.videodb.tells_the_truth()
        self.airflow.trouble = None
        for process in self.living:
            process.wall_ahead = _NO_TIME
            self.go(process)
        for task in self.tasks.values():
            if self.state(task) in ("success", "failed") and not task.asks:
                self.clear(task)
        for _ in range(10):
            for task in self.tasks.values():
                self._bring_on(task)
                self.promises.hold()
        restless = [
            f"{task.name}: {self.state(task)}, {task.error}" for task in self.tasks.values() if not self._may_rest(task)
        ]
        assert not restless, restless

    def _bring_on(self, task: Task) -> None:
        self.advance(timedelta(seconds=3))
        if self.state(task) in READY:
            self.begin_try(task)
        if task.process is not None:
            self.go(task.process)
        if self.state(task) == "deferred":
            for link in task.links:
                if self.videodb.payable(self.videodb.entries[link]):
                    self.videodb.pay(self.videodb.entries[link])
            self.poll(task)
            if task.process is not None:
                self.go(task.process)
        if self.state(task) == "deferred" and task.kind is Kind.ENSURE:
            self._failed(task, VideoDBPaymentTimeoutError("Nobody paid."))
        if self.state(task) == "failed" and (task.asks or self.resolution_of(task)):
            self.resolve_truthfully(task)

    def _may_rest(self, task: Task) -> bool:
        # What the list shows of others for good, in a state that nobody knows, may be this task's.
        if self.state(task) == "success" or isinstance(task.error, VideoDBLimitExceededError | VideoDBResponseError):
            return True
        record = self.airflow.record(task.name)
        if task.kind is Kind.ENSURE and record is not None and record.paid:
            # Others have used up what it bought.
            return True
        own = (
            None
            if record is None
            else next((entry for entry in self.videodb.entries.values() if entry.url == record.payment_url), None)
        )
        # Only a new DAG run goes on from what another task has taken, VideoDB does not show any more, or has a date
        # that does not fit the one that was noted.
        if own is not None and (self.airflow.owner(own.id) not in (None, task.name) or own.misdated):
            return True
        entries = self.videodb.entries.values()
        return any(self.videodb.has_forgotten(entry) for entry in entries if entry.made_by == task.name)
