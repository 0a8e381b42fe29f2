"""Decides when failed polls end a wait. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_videodb.exceptions import VideoDBNoConnectionError, VideoDBRateLimitError, is_permanent

#: Consecutive failures that end a wait, unless the task sets another number.
MAX_CONSECUTIVE_FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class FailureBudget:
    """
    Counts how many polls in a row have failed.

    :param allowed: number of consecutive failures that ends the wait.
    :param failures: number of consecutive failures so far.
    """

    allowed: int
    failures: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether the failures so far end the wait."""
        return self.failures >= self.allowed

    def after(self, error: BaseException | None) -> FailureBudget:
        """Return the budget after a poll that raised ``error``, or succeeded."""
        if error is None:
            return replace(self, failures=0)
        # VideoDB works but asks for fewer requests, and the poll waits as long as it asks.
        if isinstance(error, VideoDBRateLimitError):
            return self
        return replace(self, failures=self.failures + 1)


def is_final(error: BaseException, *, connection_was_read: bool) -> bool:
    """
    Say whether one such error ends the wait, because every later poll would fail too.

    :param connection_was_read: whether this wait has read the connection before. Airflow raises the same error for a
        connection that does not exist and for one that it cannot read at the moment.
    """
    if isinstance(error, VideoDBNoConnectionError):
        return not connection_was_read
    return is_permanent(error)
