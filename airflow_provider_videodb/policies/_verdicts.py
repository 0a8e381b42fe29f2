"""What should happen after an error. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_videodb.api.failures import error_for_status, is_error_of_videodb
from airflow_provider_videodb.api.retries import read_retry_after
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBError,
    VideoDBInsufficientCreditsError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    is_permanent,
)
from airflow_provider_videodb.hooks import sdk_errors

#: Seconds. After a longer ``Retry-After`` the task asks again.
LONGEST_PAUSE = 24 * 60 * 60.0


class Action(StrEnum):
    """The values of Airflow's ``RetryAction``, which 3.2 lacks."""

    RETRY = "retry"
    FAIL = "fail"
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """
    What a retry policy decides.

    :param delay: seconds until the retry; ``None`` keeps the delay of the task.
    :param reason: for the log and the page of the task.
    """

    action: Action
    delay: float | None = None
    reason: str | None = None


def verdict_on(err: BaseException, *, credits_delay: float, keeps_records: bool) -> Verdict:
    """
    Decide what happens after an error.

    :param credits_delay: seconds until a task that lacked credits is tried again.
    :param keeps_records: whether the task records each step of a purchase, so that its retry never buys twice.
    """
    known = as_videodb_error(err)
    if known is not None and is_permanent(known):
        return Verdict(action=Action.FAIL, reason=f"A retry cannot help ({_name_of(known)}).")
    # A gateway's 429 after a POST is both, so the unknown outcome comes first.
    if is_outcome_unknown(known) and not keeps_records:
        return Verdict(
            action=Action.FAIL, reason="VideoDB may have carried the request out, and a retry would send it again."
        )
    if isinstance(known, VideoDBRateLimitError):
        return _after_pause(known.retry_after)
    if isinstance(known, VideoDBInsufficientCreditsError):
        return Verdict(action=Action.RETRY, delay=credits_delay, reason="The account is short of credits.")
    return Verdict(action=Action.DEFAULT)


def is_outcome_unknown(err: VideoDBError | None) -> bool:
    """Say whether VideoDB may have carried out a POST."""
    return isinstance(err, OUTCOME_UNKNOWN_ERRORS) and isinstance(err, VideoDBAPIError) and err.method == "POST"


def as_videodb_error(err: BaseException) -> VideoDBError | None:
    """
    Return our error for an error, or ``None``.

    It is ``None`` if the error does not come from VideoDB.
    """
    if isinstance(err, VideoDBError):
        return err
    method = sdk_errors.method_of(err) or "POST"
    error = _error_for_sdk(err, method) if sdk_errors.is_sdk_error(err) else None
    if error is None:
        return None
    retry_after = read_retry_after(sdk_errors.header_of(err, "Retry-After"), date=sdk_errors.header_of(err, "Date"))
    return error(str(err), method=method, status=sdk_errors.status_of(err), retry_after=retry_after)


def _error_for_sdk(err: BaseException, method: str) -> type[VideoDBAPIError] | None:
    status = sdk_errors.status_of(err)
    if status != 401 and sdk_errors.is_shortage(err):
        return VideoDBInsufficientCreditsError
    if status is None:
        # The response was lost, or the job took too long. The SDK does not say whether it had submitted the job.
        return VideoDBOutcomeUnknownError
    if status < 400:
        # VideoDB accepted the job, and the job failed.
        return None
    return error_for_status(method, status, from_videodb=_is_from_videodb(sdk_errors.body_of(err)))[0]


def _is_from_videodb(body: object) -> bool:
    return isinstance(body, dict) and is_error_of_videodb(body)


def _name_of(err: VideoDBError) -> str:
    status = err.status if isinstance(err, VideoDBAPIError) else None
    return type(err).__name__ if status is None else f"HTTP {status}"


def _after_pause(seconds: float | None) -> Verdict:
    if not seconds:
        # A pause of 0 s would use up all retries at once, so the delay of the task stays.
        return Verdict(action=Action.RETRY, reason="VideoDB asks for fewer requests.")
    delay = min(seconds, LONGEST_PAUSE)
    return Verdict(action=Action.RETRY, delay=delay, reason=f"VideoDB asks for a pause of {seconds:g} s.")
