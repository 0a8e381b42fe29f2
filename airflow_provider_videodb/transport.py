"""
One request to VideoDB, and what its outcome means.

- A GET is retried with backoff, jitter and VideoDB's own ``Retry-After``; a POST is sent exactly once.
- A redirect is an error: ``requests`` would carry ``x-access-token`` along to another host.
- The API key appears in no log, message, ``repr`` or exception chain.

This is the only file that imports ``requests``; it knows neither Airflow nor billing.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBInsufficientCreditsError,
    VideoDBNotFoundError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBResponseError,
    VideoDBServerError,
)

#: Seconds to reach the host. A host that does not pick up by then is down, however long its answers may take.
CONNECT_TIMEOUT = 10.0
#: A longer ``Retry-After`` ends the call: whoever has to wait that long is better deferred than sleeping here.
MAX_RETRY_AFTER = 60.0
#: Between tries of a GET: 0.5 s doubling up to 8 s, plus up to 0.5 s of jitter.
BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)

#: Billing answers are small; whatever is larger is not one.
_MAX_BODY_BYTES = 16 * 1024 * 1024

_RETRIED_ERRORS = (
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBServerError,
)

_STATUS_ERRORS: dict[int, tuple[type[VideoDBRefusedError], str]] = {
    401: (VideoDBAuthenticationError, "Put a valid API key into the connection's password."),
    402: (VideoDBInsufficientCreditsError, "Top up the account, then try again."),
    403: (VideoDBPermissionError, "Use an API key that may do this."),
    404: (VideoDBNotFoundError, "Check the base URL in the connection's host."),
}


class _TokenAuth(AuthBase):
    """Puts the key on a request at the last moment; being the session's auth, it also rules ``.netrc`` out."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["x-access-token"] = self._api_key
        return request


class Transport:
    """
    Sends requests to one VideoDB account and turns every failure into a typed error.

    :param api_key: the account's API key.
    :param base_url: where VideoDB is; ``http://`` only for a loopback host.
    :param timeout: seconds to wait for an answer, and again for its body once it has begun.
    :param max_retries: how many times a failed GET is tried again.
    :param user_agent: what to call ourselves.
    :raises VideoDBConfigError: if key or address cannot be used. Nothing was sent.
    """

    def __init__(self, *, api_key: str, base_url: str, timeout: float, max_retries: int, user_agent: str) -> None:
        # http.client would quote a malformed header value, and so the key, in its error.
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise VideoDBConfigError(
                "The API key (the connection's password) is empty or contains a space, a line break or a "
                "character that is not ASCII. Copy it again from VideoDB's console."
            )
        self._api_key = api_key
        self.base_url = check_base_url(base_url)
        self.timeout = timeout
        self.max_retries = max_retries
        self._session = requests.Session()
        self._session.auth = _TokenAuth(api_key)
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})
        if is_loopback(self.base_url):
            # A proxy cannot reach this host's loopback, and would be handed the key in clear text.
            self._session.trust_env = False

    def close(self) -> None:
        """Close the connections to VideoDB."""
        self._session.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the JSON object at ``path``, trying again what a later try can mend."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_worth_retrying),
            stop=tenacity.stop_after_attempt(self.max_retries + 1),
            wait=_wait,
            sleep=time.sleep,
            reraise=True,
        )
        return retrying(self._send, "GET", path, params=params)

    def post(
        self, path: str, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """Send ``payload`` once and return the JSON object that comes back."""
        return self._send("POST", path, json=payload, headers=headers)

    def _send(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        what = f"{method} {self.base_url}{path}"
        try:
            with self._session.request(
                method,
                self.base_url + path,
                timeout=(min(CONNECT_TIMEOUT, self.timeout), self.timeout),
                allow_redirects=False,
                stream=True,
                **request,
            ) as response:
                body = _read_body(response, deadline=time.monotonic() + self.timeout)
        except requests.RequestException as err:
            # Its request carries the key in a header, and would travel on along the exception chain.
            err.request = None
            raise _transport_error(what, err) from err
        except HTTPError as err:
            raise VideoDBOutcomeUnknownError(
                f"{what} was sent and its answer broke off ({type(err).__name__}: {str(err)[:200]}): it may or "
                "may not have been carried out."
            ) from err
        return self._read_answer(what, response, body)

    def _read_answer(self, what: str, response: requests.Response, body: bytes) -> Mapping[str, Any]:
        status = response.status_code
        request_id = self._request_id(response)
        if 300 <= status < 400:
            target = self._quotable(response.headers.get("Location", "nowhere"))
            raise VideoDBResponseError(
                f"{what} was redirected to {target} (HTTP {status}) and not followed, since that would hand the "
                "API key to another host. Put the API's own address into the connection's host.",
                status=status,
                request_id=request_id,
            )
        try:
            answer = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            answer = None
        fields = answer if isinstance(answer, Mapping) else {}
        if status >= 400 or fields.get("success", True) is not True:
            raise self._status_error(what, response, fields)
        if not isinstance(answer, Mapping):
            kind = response.headers.get("Content-Type", "no content type")[:80]
            raise VideoDBResponseError(
                f"{what} was answered with HTTP {status}, but with {len(body)} bytes of {kind} that are no JSON "
                "object. Check the base URL in the connection's host.",
                status=status,
                request_id=request_id,
            )
        if answer.get("status") == "processing":
            raise VideoDBResponseError(
                f"{what} was accepted for later processing, which VideoDB documents for no such call.",
                status=status,
                request_id=request_id,
            )
        return answer

    def _status_error(self, what: str, response: requests.Response, fields: Mapping[str, Any]) -> VideoDBAPIError:
        status = response.status_code
        retry_after = _retry_after(response.headers.get("Retry-After"))
        request_id = self._request_id(response)
        code, message = fields.get("error_code"), fields.get("message")
        error_code = self._quotable(str(code)) if isinstance(code, str | int) else None
        said = f' VideoDB says: "{self._quotable(message)}".' if isinstance(message, str) and message else ""
        error, next_step = _classify(status, retry_after)
        details = [f"HTTP {status}"]
        if error_code:
            details.append(f"error code {error_code}")
        if request_id:
            details.append(f"request id {request_id}")
        return error(
            f"{what} failed ({', '.join(details)}).{said} {next_step}",
            status=status,
            error_code=error_code,
            request_id=request_id,
            retry_after=retry_after,
        )

    def _request_id(self, response: requests.Response) -> str | None:
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
        return None if request_id is None else self._quotable(request_id)

    def _quotable(self, text: str) -> str:
        """Return VideoDB's words on one short line, without the key that a server may echo."""
        return " ".join(text.replace(self._api_key, "***").split())[:300]


def check_base_url(base_url: str) -> str:
    """
    Return ``base_url`` without a trailing slash.

    :raises VideoDBConfigError: if it is no address the key may be sent to.
    """
    try:
        parts = urlsplit(base_url)
        # Reading the port raises where it is no number.
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        # Not quoted: what stands before an "@" or in a query may be a secret.
        raise VideoDBConfigError(
            "The base URL (the connection's host) is not an address such as https://api.videodb.io: it needs a "
            "scheme and a host, and takes no user, query or fragment."
        )
    if parts.scheme == "http" and not is_loopback(base_url):
        raise VideoDBConfigError(
            f"The base URL (the connection's host) is {base_url!r}: http:// would send the API key in clear text "
            "and is allowed for a loopback host only. Use https://."
        )
    return base_url.rstrip("/")


def is_loopback(base_url: str) -> bool:
    """Say whether a URL points at this machine itself."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _read_body(response: requests.Response, *, deadline: float) -> bytes:
    """
    Read an answer's body, within limits of size and time.

    The read timeout starts anew with every byte, so a server that drips could hold us for ever.
    """
    body = bytearray()
    while chunk := response.raw.read1(65536, decode_content=True):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise requests.exceptions.ContentDecodingError(f"the answer is longer than {_MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the answer did not end in time")
    return bytes(body)


def _transport_error(what: str, err: requests.RequestException) -> VideoDBAPIError:
    cause: object = err.args[0] if err.args else ""
    if isinstance(cause, MaxRetryError) and cause.reason is not None:
        cause = cause.reason
    reason = f"{type(err).__name__}: {str(cause)[:200]}"
    if _provably_not_sent(err, cause):
        return VideoDBNotSentError(
            f"{what} was not sent ({reason}). Nothing was done at VideoDB. Check the network and the connection's host."
        )
    return VideoDBOutcomeUnknownError(
        f"{what} was sent and its answer was lost ({reason}): it may or may not have been carried out."
    )


def _provably_not_sent(err: requests.RequestException, cause: object) -> bool:
    if isinstance(err, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if isinstance(err, requests.ConnectionError):
        unreached = isinstance(cause, NewConnectionError | ConnectTimeoutError)
        return unreached or "CERTIFICATE_VERIFY_FAILED" in str(cause)
    # A bad URL or header is found before anything is sent; time and broken bodies run out after it.
    return not isinstance(err, requests.Timeout | requests.exceptions.ContentDecodingError)


def _classify(status: int, retry_after: float | None) -> tuple[type[VideoDBAPIError], str]:
    """Return the error that an HTTP status means, and what a person does next."""
    if status in _STATUS_ERRORS:
        return _STATUS_ERRORS[status]
    if status == requests.codes.too_many_requests:
        if retry_after is None:
            return VideoDBRateLimitError, "Call less often."
        return (
            VideoDBRateLimitError,
            f"VideoDB asks to wait {retry_after:g} s, until {_clock_time_in(retry_after)}.",
        )
    if status == requests.codes.request_timeout:
        return VideoDBOutcomeUnknownError, "VideoDB gave up waiting for the request; try again."
    if status >= requests.codes.server_error:
        return VideoDBServerError, "VideoDB has a fault; try again later."
    return VideoDBRefusedError, "Correct the request: VideoDB did nothing."


def _is_worth_retrying(err: BaseException) -> bool:
    return isinstance(err, _RETRIED_ERRORS) and (err.retry_after or 0) <= MAX_RETRY_AFTER


def _wait(state: tenacity.RetryCallState) -> float:
    err = state.outcome.exception() if state.outcome else None
    asked = err.retry_after if isinstance(err, VideoDBAPIError) else None
    return max(asked or 0.0, BACKOFF(state))


def _retry_after(header: str | None) -> float | None:
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


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
