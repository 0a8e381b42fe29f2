"""What an answer means that is not a success, told from its status and from whether VideoDB wrote it. Pure."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBGatewayError,
    VideoDBGatewayRateLimitError,
    VideoDBInsufficientCreditsError,
    VideoDBNotFoundError,
    VideoDBOutcomeUnknownError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBServerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: 408, 409, 425 and 499: the request was given up, is under way or met another one. It may have been carried out.
_UNFINISHED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, 499)

_STATUS_ERRORS: dict[int, tuple[type[VideoDBRefusedError], str]] = {
    401: (VideoDBAuthenticationError, "Put a valid API key into the connection's password."),
    402: (VideoDBInsufficientCreditsError, "Top up the account, then try again."),
    403: (VideoDBPermissionError, "Use an API key that may do this."),
    404: (VideoDBNotFoundError, "Check the base URL in the connection's host."),
}


def is_error_of_videodb(fields: Mapping[str, Any]) -> bool:
    """
    Say whether a JSON object is VideoDB's own way to fail, and not a gateway's or a proxy's.

    Its documents show ``success: false`` in every error. A gateway may have an ``error_code`` as well.
    """
    return fields.get("success") is False


def error_for_status(
    status: int, retry_after: float | None, *, from_videodb: bool
) -> tuple[type[VideoDBAPIError], str]:
    """
    Return the error that a failure means, and what a person does next.

    :param from_videodb: whether VideoDB wrote the answer. A refusal that it did not write says nothing about the
        key or the request, and does not prove that nothing was done.
    """
    wait = "" if retry_after is None else f" It asks to wait {retry_after:g} s, until {_clock_time_in(retry_after)}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        error = VideoDBRateLimitError if from_videodb else VideoDBGatewayRateLimitError
        return error, f"It wants fewer calls.{wait}"
    if status in _UNFINISHED:
        return VideoDBOutcomeUnknownError, "Whether VideoDB has carried the request out is unknown; try again."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return VideoDBServerError, f"VideoDB has a fault; try again later.{wait}"
    if not from_videodb:
        return VideoDBGatewayError, (
            "VideoDB did not write this answer, so something between here and VideoDB did: it says nothing about the "
            "API key or the request. Check the proxy and the base URL (the connection's host), and only then the "
            f"key.{wait}"
        )
    return _STATUS_ERRORS.get(status, (VideoDBRefusedError, "Correct the request: VideoDB did nothing."))


def read_retry_after(header: str | None, *, date: str | None) -> float | None:
    """
    Read ``Retry-After``: seconds, fractions of seconds, or a date. ``None`` where it says none of these.

    :param date: the response's ``Date``. A date to wait for is measured from it, so that a clock of ours that is off
        does not lengthen the wait; from our clock where it cannot be read.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        until = _moment_of(header)
        if until is None:
            return None
        seconds = (until - (_moment_of(date or "") or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if isfinite(seconds) else None


def _moment_of(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
        # An offset of -0000 gives a date without one.
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    # The last two are what dates beyond all bounds, and less than a date, come to.
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _clock_time_in(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a date far away"
