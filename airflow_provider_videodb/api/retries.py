"""When to send a failed read again: back-off, ``Retry-After``, and what is worth a retry."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

import tenacity

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBGatewayError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds. A longer ``Retry-After`` ends the call, because a task should defer for that long instead of sleeping.
MAX_RETRY_AFTER = 60.0
#: Doubles from 0.5 s up to 8 s, plus up to 0.5 s of jitter.
_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)

_TEMPORARY_ERRORS = (
    VideoDBGatewayError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBServerError,
)

_Result = TypeVar("_Result")


def call_with_retries(call: Callable[[], _Result], *, max_retries: int) -> _Result:
    """
    Repeat a read while its error may pass.

    :param call: sends the request once.
    :param max_retries: how often to repeat it after the first failure.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_worth_retrying),
        stop=tenacity.stop_after_attempt(max_retries + 1),
        wait=_seconds_to_wait,
        sleep=time.sleep,
        reraise=True,
    )
    return retrying(call)


def read_retry_after(header: str | None, *, date: str | None) -> float | None:
    """
    Return the pause that ``Retry-After`` asks for, in seconds.

    The header has seconds, fractions of a second, or a date. The result is ``None`` if it has none of these.

    :param date: the ``Date`` header of the same response. A date in ``Retry-After`` is compared with it, because our
        own clock may be wrong. Our clock is used if ``Date`` cannot be read.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        until = _parse_date(header)
        if until is None:
            return None
        seconds = (until - (_parse_date(date or "") or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if isfinite(seconds) else None


def describe_retry_after(seconds: float) -> str:
    """Return the requested pause as a sentence."""
    try:
        until = datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        until = "a date beyond the calendar"
    return f"VideoDB asks for a pause of {seconds:g} s, until {until}."


def _is_worth_retrying(err: BaseException) -> bool:
    return isinstance(err, _TEMPORARY_ERRORS) and (err.retry_after or 0) <= MAX_RETRY_AFTER


def _seconds_to_wait(state: tenacity.RetryCallState) -> float:
    err = state.outcome.exception() if state.outcome else None
    asked = err.retry_after if isinstance(err, VideoDBAPIError) else None
    return max(asked or 0.0, _BACKOFF(state))


def _parse_date(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
        # An offset of -0000 gives a date without an offset.
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    # parsedate_to_datetime raises the last two for a date out of range and for an incomplete date.
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
