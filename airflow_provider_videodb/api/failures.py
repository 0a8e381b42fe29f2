"""What a failed request means: an HTTP status or a library's exception becomes one of our errors."""

from __future__ import annotations

import os
import re
import socket
import ssl
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions as urllib3

from airflow_provider_videodb.api.read_deadline import MAX_RESPONSE_BYTES, ResponseTooLongError
from airflow_provider_videodb.api.retries import describe_retry_after
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
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
    from collections.abc import Callable, Iterator, Mapping

#: 408, 409, 425 and 499. The server gave up, or another request was in the way. The request may have been carried out.
_UNFINISHED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, 499)

#: What requests, urllib3 and http.client raise while they send a request and read its response.
TRANSPORT_ERRORS = (OSError, urllib3.HTTPError, HTTPException, ValueError)

_STATUS_ERRORS: dict[int, tuple[type[VideoDBRefusedError], str]] = {
    401: (VideoDBAuthenticationError, "put a valid API key into the connection's password."),
    402: (VideoDBInsufficientCreditsError, "check the plan and the payment method in VideoDB's console."),
    403: (VideoDBPermissionError, "use an API key that has this permission."),
    404: (VideoDBNotFoundError, "check the base URL in the connection's host."),
}
_ANY_OTHER_REFUSAL = (VideoDBRefusedError, "check the arguments of the call: amount, currency, URLs.")


def is_error_of_videodb(fields: Mapping[str, Any]) -> bool:
    """
    Say whether VideoDB itself wrote an error.

    VideoDB's documentation shows ``success: false`` in every error. The error of a gateway or a proxy does not have it,
    even if it has an ``error_code``.
    """
    return fields.get("success") is False


def error_for_status(method: str, status: int, *, from_videodb: bool) -> tuple[type[VideoDBAPIError], str]:
    """
    Return the error class for an HTTP status, and the next step.

    :param method: ``GET`` or ``POST``.
    :param from_videodb: whether VideoDB wrote the response. A response of something else says nothing about the key
        or the request, and does not prove that nothing was done.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        error = VideoDBRateLimitError if from_videodb else VideoDBGatewayRateLimitError
        return error, "send fewer requests, for example with a longer poll interval."
    if status in _UNFINISHED:
        return VideoDBOutcomeUnknownError, step_after_unknown(method)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return VideoDBServerError, step_after_unknown(method)
    if not from_videodb:
        return VideoDBGatewayError, "check the proxy and the base URL (the connection's host), and only then the key."
    return _STATUS_ERRORS.get(status, _ANY_OTHER_REFUSAL)


def step_after_unknown(method: str) -> str:
    """Return the next step for a request that VideoDB may have carried out."""
    return "try again later." if method == "GET" else "check VideoDB's console before you send it again."


def error_text(
    happened: str, error: type[VideoDBAPIError], next_step: str, *, method: str, retry_after: float | None = None
) -> str:
    """
    Return what happened, what it changed at VideoDB, and the next step.

    :param method: ``GET`` or ``POST``. A GET changes nothing, so the text does not mention its effect.
    :param retry_after: seconds that VideoDB asked to wait.
    """
    sentences = [happened]
    if method != "GET":
        unknown = issubclass(error, OUTCOME_UNKNOWN_ERRORS)
        sentences.append("VideoDB may or may not have carried it out." if unknown else "VideoDB did nothing.")
    if retry_after is not None:
        sentences.append(describe_retry_after(retry_after))
    return " ".join([*sentences, f"Next step: {next_step}"])


def describe_exception(err: BaseException, *, seconds: float) -> str:
    """
    Say in words why a connection failed.

    We write our own text, because a library's text names its private classes and may quote a server.

    :param seconds: the timeout that applied.
    """
    causes = list(_causes(err))
    for error, words in _WORDS:
        for cause in causes:
            if isinstance(cause, error):
                return words(cause) if callable(words) else words.format(seconds=seconds)
    # requests raises it as a plain OSError, before it connects.
    if bundle := re.search(r"certificate bundle, invalid path: (.+)", str(err)):
        return f"the file of trusted certificates is missing ({bundle[1]})"
    errno = next((cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno), None)
    return "the connection failed" if errno is None else f"the connection failed ({os.strerror(errno).lower()})"


def _causes(err: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps, in the ways in which requests and urllib3 wrap."""
    waiting, seen = [err], list[BaseException]()
    while waiting:
        cause = waiting.pop(0)
        if not any(cause is one for one in seen):
            seen.append(cause)
            yield cause
            wrapped = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
            waiting += [one for one in wrapped if isinstance(one, BaseException)]


def _certificate_words(err: Any) -> str:
    return f"the TLS certificate is not trusted ({err.verify_message})"


def _tls_words(err: Any) -> str:
    reason = getattr(err, "reason", None) or "no reason given"
    return f"TLS failed ({reason.replace('_', ' ').lower()})"


def _proxy_words(err: Any) -> str:
    refused = re.search(r"Tunnel connection failed: (\d{3})", str(err))
    return f"the proxy refused to connect (HTTP {refused[1]})" if refused else "the proxy did not open a connection"


_BAD_ADDRESS = "the address of the host or of the proxy is not valid"
_NO_RESPONSE = "no complete response arrived within {seconds:g} s"
#: One table from foreign errors to our words. The first row that fits the exception, or one that it wraps, counts.
_WORDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str | Callable[[Any], str]], ...] = (
    (ssl.SSLCertVerificationError, _certificate_words),
    ((socket.gaierror, urllib3.NameResolutionError), "the host name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (RemoteDisconnected, "the connection was closed before a response arrived"),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError), "the connection was reset"),
    ((TimeoutError, urllib3.ReadTimeoutError), _NO_RESPONSE),
    (ResponseTooLongError, f"the response is longer than {MAX_RESPONSE_BYTES // 1024**2} MiB"),
    ((urllib3.DecodeError, requests.exceptions.ContentDecodingError), "the response cannot be decompressed"),
    (ssl.SSLError, _tls_words),
    (IncompleteRead, "the response is not complete"),
    ((HTTPException, urllib3.InvalidHeader), "the response is not valid HTTP"),
    ((urllib3.LocationValueError, requests.exceptions.InvalidURL, UnicodeError), _BAD_ADDRESS),
    (requests.exceptions.InvalidSchema, _BAD_ADDRESS),
    ((urllib3.ProxyError, requests.exceptions.ProxyError), _proxy_words),
)
