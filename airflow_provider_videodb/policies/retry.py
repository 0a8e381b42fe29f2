"""Decides about retries after errors of VideoDB."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

try:
    from airflow.sdk import RetryAction, RetryDecision, RetryPolicy
except ImportError:
    raise ImportError(
        "VideoDBRetryPolicy needs Airflow 3.3, because an older one has no retry policies. "
        "Next step: upgrade Airflow, or remove the import and the argument retry_policy."
    ) from None

from airflow_provider_videodb.hooks.arguments import parse_seconds

if TYPE_CHECKING:
    from airflow.sdk import Context

_PACKAGE = "airflow_provider_videodb."


class VideoDBRetryPolicy(RetryPolicy):
    """
    A retry policy for errors of VideoDB.

    Airflow asks it in the worker after each failed try. It knows the errors of this package and of VideoDB's SDK. For
    any other error, the task's own settings decide.

    - 401 and 403 of VideoDB fail the task at once. So does every other error that needs a person.
    - 429 delays the retry for as long as VideoDB asks, at most a day.
    - A shortage of credits delays the retry by ``credits_delay``.
    - If VideoDB may have carried out a purchase or started a job, the task fails at once. A retry could pay twice. The
      operators of this package keep a record, so the policy lets them retry.

    A policy cannot add to the task's ``retries``.

    :param credits_delay: how long to wait before a task that lacked credits is tried again.
    :raises VideoDBConfigError: if ``credits_delay`` is not above zero.
    """

    def __init__(self, *, credits_delay: timedelta | float = timedelta(minutes=10)) -> None:
        self.credits_delay = parse_seconds("credits_delay", credits_delay)

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow passes it by name
        max_tries: int,  # noqa: ARG002 - Airflow passes it by name
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide after a failed try."""
        from airflow_provider_videodb.policies._verdicts import verdict_on

        verdict = verdict_on(exception, credits_delay=self.credits_delay, keeps_records=_keeps_records(context))
        delay = None if verdict.delay is None else timedelta(seconds=verdict.delay)
        return RetryDecision(action=RetryAction(verdict.action), retry_delay=delay, reason=verdict.reason)


def _keeps_records(context: Context | None) -> bool:
    """Say whether the task records its purchase."""
    task = None if context is None else context.get("task")
    return any(cls.__module__.startswith(_PACKAGE) for cls in type(task).__mro__)
