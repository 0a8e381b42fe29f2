"""
One request to VideoDB, and what its outcome means.

- A GET is retried with backoff, jitter and VideoDB's own ``Retry-After``; a POST is sent exactly once.
- A redirect is an error: ``requests`` would carry ``x-access-token`` along to another host.
- The API key appears in no log, message, ``repr`` or exception chain.
- An answer arrives whole within the timeout, or its loss is an error.

With :mod:`~airflow_provider_videodb.outcomes` and :mod:`~airflow_provider_videodb.deadline` this is all that knows
``requests``; none of them knows Airflow or billing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import requests
import tenacity
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, MaxRetryError

from airflow_provider_videodb.addresses import check_base_url, is_loopback
from airflow_provider_videodb.deadline import POOLS
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBConfigError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.fields import unreadable
from airflow_provider_videodb.outcomes import classify, read_retry_after, was_never_sent

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

_Read = TypeVar("_Read")
_JsonObject = Mapping[str, Any]


class _HurriedAdapter(HTTPAdapter):
    """Makes its connections, those through a proxy too, with a deadline for the whole answer."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager


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
    :param timeout: seconds to wait for an answer, until its last byte.
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
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _HurriedAdapter())
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})
        if is_loopback(self.base_url):
            # A proxy cannot reach this host's loopback, and would be handed the key in clear text.
            self._session.trust_env = False

    def close(self) -> None:
        """Close the connections to VideoDB."""
        self._session.close()

    def get(self, path: str, read: Callable[[_JsonObject], _Read], *, params: Mapping[str, Any] | None = None) -> _Read:
        """Return what ``read`` makes of the JSON object at ``path``, trying again what a later try can mend."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_worth_retrying),
            stop=tenacity.stop_after_attempt(self.max_retries + 1),
            wait=_wait,
            sleep=time.sleep,
            reraise=True,
        )
        result: _Read = retrying(self._send, "GET", path, read, params=params)
        return result

    def post(
        self,
        path: str,
        read: Callable[[_JsonObject], _Read],
        *,
        payload: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> _Read:
        """Send ``payload`` once and return what ``read`` makes of the JSON object that comes back."""
        # On a connection of its own: on an idle one it may cross with the server's hanging up, and whether it was
        # carried out would be unknown.
        self._session.close()
        return self._send("POST", path, read, json=payload, headers=headers)

    def _send(self, method: str, path: str, read: Callable[[_JsonObject], _Read], **request: Any) -> _Read:
        what = f"{method} {self.base_url}{path}"
        answered: tuple[requests.Response, bytes] | None = None
        try:
            with self._session.request(
                method,
                self.base_url + path,
                timeout=(min(CONNECT_TIMEOUT, self.timeout), self.timeout),
                allow_redirects=False,
                stream=True,
                **request,
            ) as response:
                answered = response, _read_body(response)
        except (OSError, HTTPError) as err:
            failure = self._transport_error(what, err)
        # Raised out here, the error has no cause: that of requests carries the key in the headers of its request, and
        # that of urllib3 quotes what a server sent.
        if answered is None:
            raise failure
        return self._read_answer(what, *answered, read)

    def _read_answer(
        self, what: str, response: requests.Response, body: bytes, read: Callable[[_JsonObject], _Read]
    ) -> _Read:
        status = response.status_code
        if 300 <= status < 400:
            target = self._quotable(response.headers.get("Location", "nowhere"))
            raise self._response_error(
                f"{what} was redirected to {target} (HTTP {status}) and not followed, since that would hand the "
                "API key to another host. Put the API's own address into the connection's host.",
                response,
            )
        answer = _json_of(body)
        fields = answer if isinstance(answer, Mapping) else {}
        success = fields.get("success", True)
        if status >= 400 or success is False:
            raise self._status_error(what, response, fields)
        if not isinstance(answer, Mapping):
            kind = self._quotable(response.headers.get("Content-Type", "no content type"))[:80]
            raise self._response_error(
                f"{what} was answered with HTTP {status}, but with {len(body)} bytes of {kind} that are no JSON "
                "object. Check the base URL in the connection's host.",
                response,
            )
        if answer.get("status") == "processing":
            raise self._response_error(
                f"{what} was accepted for later processing, which VideoDB documents for no such call.", response
            )
        try:
            if success is not True:
                raise unreadable("success", success, "true or false")
            return read(answer)
        except VideoDBResponseError as err:
            unread = self._quotable(str(err))
        # Raised out here for the same reason as above: the first error quotes what the server sent.
        raise self._response_error(f"{what} was answered with HTTP {status}. {unread}", response)

    def _response_error(self, message: str, response: requests.Response) -> VideoDBResponseError:
        return VideoDBResponseError(message, status=response.status_code, request_id=self._request_id(response))

    def _status_error(self, what: str, response: requests.Response, fields: Mapping[str, Any]) -> VideoDBAPIError:
        status = response.status_code
        retry_after = read_retry_after(response.headers.get("Retry-After"))
        request_id = self._request_id(response)
        code, message = fields.get("error_code"), fields.get("message")
        error_code = self._quotable(str(code)) if isinstance(code, str | int) else None
        said = f' VideoDB says: "{self._quotable(message)}".' if isinstance(message, str) and message else ""
        error, next_step = classify(status, retry_after)
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
        harmless = (letter if letter.isprintable() else " " for letter in text.replace(self._api_key, "***"))
        return " ".join("".join(harmless).split())[:300]

    def _transport_error(self, what: str, err: OSError | HTTPError) -> VideoDBAPIError:
        cause: object = err.args[0] if err.args else ""
        if isinstance(cause, MaxRetryError) and cause.reason is not None:
            cause = cause.reason
        reason = f"{type(err).__name__}: {self._quotable(str(cause))}"
        if was_never_sent(err, cause):
            return VideoDBNotSentError(
                f"{what} was not sent ({reason}). Nothing was done at VideoDB. Check the network and the connection's "
                "host."
            )
        return VideoDBOutcomeUnknownError(
            f"{what} was sent and its answer was lost ({reason}): it may or may not have been carried out."
        )


def _read_body(response: requests.Response) -> bytes:
    body = bytearray()
    while chunk := response.raw.read(65536, decode_content=True):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise requests.exceptions.ContentDecodingError(f"the answer is longer than {_MAX_BODY_BYTES} bytes")
    return bytes(body)


def _json_of(body: bytes) -> object:
    """Return what a JSON text says, its numbers exactly; ``None`` where it is none."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    # The third is Decimal's word for an exponent beyond all bounds.
    except (ValueError, RecursionError, ArithmeticError):
        return None


def _is_worth_retrying(err: BaseException) -> bool:
    return isinstance(err, _RETRIED_ERRORS) and (err.retry_after or 0) <= MAX_RETRY_AFTER


def _wait(state: tenacity.RetryCallState) -> float:
    err = state.outcome.exception() if state.outcome else None
    asked = err.retry_after if isinstance(err, VideoDBAPIError) else None
    return max(asked or 0.0, BACKOFF(state))


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
