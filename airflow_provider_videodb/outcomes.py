"""What became of a request, told from how it failed or from the status it was answered with."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBInsufficientCreditsError,
    VideoDBNotFoundError,
    VideoDBOutcomeUnknownError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBServerError,
)

#: What requests and urllib3 find before they send anything. Whatever is not named may have come after.
_NEVER_SENT = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidJSONError,
    LocationValueError,
)
#: What OpenSSL says of a handshake that failed, so that no request followed it.
_FAILED_HANDSHAKE = re.compile("CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|HANDSHAKE_FAILURE|PROTOCOL_VERSION")

_STATUS_ERRORS: dict[int, tuple[type[VideoDBRefusedError], str]] = {
    401: (VideoDBAuthenticationError, "Put a valid API key into the connection's password."),
    402: (VideoDBInsufficientCreditsError, "Top up the account, then try again."),
    403: (VideoDBPermissionError, "Use an API key that may do this."),
    404: (VideoDBNotFoundError, "Check the base URL in the connection's host."),
}


def was_never_sent(err: OSError | HTTPError, cause: object) -> bool:
    """Say whether a request that failed provably never left, by its error and what caused that."""
    if isinstance(err, requests.exceptions.SSLError):
        return _FAILED_HANDSHAKE.search(str(cause)) is not None
    if isinstance(err, _NEVER_SENT) or isinstance(cause, NewConnectionError | ConnectTimeoutError):
        return True
    # An OSError that is neither's own comes from preparing a request, such as a missing file of certificates.
    return not isinstance(err, requests.RequestException | HTTPError)


def classify(status: int, retry_after: float | None) -> tuple[type[VideoDBAPIError], str]:
    """Return the error that an HTTP status means, and what a person does next."""
    if status in _STATUS_ERRORS:
        return _STATUS_ERRORS[status]
    wait = "" if retry_after is None else f" It asks to wait {retry_after:g} s, until {_clock_time_in(retry_after)}."
    if status == requests.codes.too_many_requests:
        return VideoDBRateLimitError, f"VideoDB wants fewer calls.{wait}"
    if status == requests.codes.request_timeout:
        return VideoDBOutcomeUnknownError, "VideoDB gave up waiting for the request; try again."
    if status >= requests.codes.server_error:
        return VideoDBServerError, f"VideoDB has a fault; try again later.{wait}"
    return VideoDBRefusedError, "Correct the request: VideoDB did nothing."


def read_retry_after(header: str | None) -> float | None:
    """Read ``Retry-After``: seconds, fractions of seconds, or a date. ``None`` where it says none of these."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if isfinite(seconds) else None


def _clock_time_in(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a date far away"
