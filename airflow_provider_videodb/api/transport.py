"""
One request to VideoDB, and what its outcome means.

- A GET is retried with backoff, jitter and VideoDB's own ``Retry-After``; a POST is sent exactly once.
- A redirect is an error: ``requests`` would carry ``x-access-token`` along to another host.
- The API key appears in no log, message, ``repr`` or exception chain.
- An answer arrives whole within the timeout and within a size, or its loss is an error.
- A request is "not sent" only where no byte of it was written.

This module, :mod:`~airflow_provider_videodb.api.session` and :mod:`~airflow_provider_videodb.api.read_deadline` are the
only ones that know ``requests``. None of them knows Airflow or billing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity
from urllib3.exceptions import HTTPError, MaxRetryError

from airflow_provider_videodb.api.decoding import decode
from airflow_provider_videodb.api.failures import error_for_status, is_error_of_videodb, read_retry_after
from airflow_provider_videodb.api.parsing import unreadable
from airflow_provider_videodb.api.read_deadline import noting_writes
from airflow_provider_videodb.api.redaction import Redactor
from airflow_provider_videodb.api.session import VideoDBSession, body_of
from airflow_provider_videodb.api.urls import check_base_url, is_loopback
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBConfigError,
    VideoDBGatewayError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBResponseError,
    VideoDBServerError,
)

if TYPE_CHECKING:
    import requests

#: Seconds to reach the host. A host that does not pick up by then is down, however long its answers may take.
CONNECT_TIMEOUT = 10.0
#: A longer ``Retry-After`` ends the call: whoever has to wait that long is better deferred than sleeping here.
MAX_RETRY_AFTER = 60.0
#: Between tries of a GET: 0.5 s doubling up to 8 s, plus up to 0.5 s of jitter.
BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)

#: How many characters in a row of the key are hidden in what is quoted, and in what VideoDB's fields say. The fields
#: carry ids and links: a shorter run could be part of those by chance.
_QUOTED_RUN = 8
_FIELD_RUN = 16
_MAX_QUOTE = 300

#: What urllib3 and http.client raise while they send a request and read the status and headers of a response.
_TRANSPORT_ERRORS = (OSError, HTTPError, HTTPException, ValueError)

_RETRIED_ERRORS = (
    VideoDBGatewayError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBServerError,
)

_Read = TypeVar("_Read")
_JsonObject = Mapping[str, Any]


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
        self._user_agent = user_agent
        self._hide_in_fields = Redactor(api_key, run=_FIELD_RUN)
        self._hide_in_quotes = Redactor(api_key, run=_QUOTED_RUN)
        self._session = self._new_session()

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
        result: _Read = retrying(self._send, self._session, "GET", path, read, params=params)
        return result

    def post(
        self,
        path: str,
        read: Callable[[_JsonObject], _Read],
        *,
        payload: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> _Read:
        """
        Send ``payload`` once and return what ``read`` makes of the JSON object that comes back.

        :param before_send: called right before the first byte is written. If it raises, nothing is sent.
        """
        # A server may close an idle connection just as a request is written to it, and whether it was carried out
        # would be unknown. Nothing else writes to the connection of this session.
        with self._new_session() as session:
            return self._send(session, "POST", path, read, before_send=before_send, json=payload, headers=headers)

    def _new_session(self) -> VideoDBSession:
        return VideoDBSession(api_key=self._api_key, user_agent=self._user_agent, loopback=is_loopback(self.base_url))

    def _send(
        self,
        session: VideoDBSession,
        method: str,
        path: str,
        read: Callable[[_JsonObject], _Read],
        *,
        before_send: Callable[[], None] | None = None,
        **request: Any,
    ) -> _Read:
        what = f"{method} {self.base_url}{path}"
        answered: tuple[requests.Response, bytes] | None = None
        with noting_writes(before=before_send) as writing:
            try:
                with session.request(
                    method,
                    self.base_url + path,
                    timeout=(min(CONNECT_TIMEOUT, self.timeout), self.timeout),
                    allow_redirects=False,
                    stream=True,
                    **request,
                ) as response:
                    answered = response, body_of(response)
            except _TRANSPORT_ERRORS as err:
                failure = self._transport_error(what, err, written=writing.begun)
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
        answer = decode(body, clean=self._hide_in_fields)
        fields = answer if isinstance(answer, Mapping) else {}
        success = fields.get("success", True)
        if status >= 400 or success is False:
            raise self._status_error(what, response, body, fields)
        if not isinstance(answer, Mapping):
            raise VideoDBGatewayError(
                f"{what} was answered with HTTP {status}, but with {self._described(response, body)} that are not a "
                "JSON object. Check the base URL in the connection's host, and the proxy.",
                status=status,
                request_id=self._request_id(response),
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

    def _status_error(
        self, what: str, response: requests.Response, body: bytes, fields: Mapping[str, Any]
    ) -> VideoDBAPIError:
        status = response.status_code
        retry_after = read_retry_after(response.headers.get("Retry-After"), date=response.headers.get("Date"))
        request_id = self._request_id(response)
        code, message = fields.get("error_code"), fields.get("message")
        error_code = self._quotable(str(code)) if isinstance(code, str | int) else None
        said = f' VideoDB says: "{self._quotable(message)}".' if isinstance(message, str) and message else ""
        error, next_step = error_for_status(status, retry_after, from_videodb=is_error_of_videodb(fields))
        if error is VideoDBGatewayError:
            said = f" The answer is {self._described(response, body)}."
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

    def _described(self, response: requests.Response, body: bytes) -> str:
        kind = self._quotable(response.headers.get("Content-Type", "no content type"))[:80]
        return f"{len(body)} bytes of {kind}"

    def _request_id(self, response: requests.Response) -> str | None:
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
        return None if request_id is None else self._quotable(request_id)

    def _quotable(self, text: str) -> str:
        """Return a server's words on one short line, without the key that it may echo, whole or in part."""
        # Cut before the search, which looks at every character; a part of the key is hidden as the whole is.
        hidden = self._hide_in_quotes(text[: 4 * _MAX_QUOTE].replace(self._api_key, "***"))
        harmless = (letter if letter.isprintable() else " " for letter in hidden)
        return " ".join("".join(harmless).split())[:_MAX_QUOTE]

    def _transport_error(self, what: str, err: Exception, *, written: bool) -> VideoDBAPIError:
        cause: object = err.args[0] if err.args else ""
        if isinstance(cause, MaxRetryError) and cause.reason is not None:
            cause = cause.reason
        reason = f"{type(err).__name__}: {self._quotable(str(cause))}"
        if not written:
            return VideoDBNotSentError(
                f"{what} was not sent ({reason}). Nothing was done at VideoDB. Check the network and the connection's "
                "host, and the proxy if there is one."
            )
        return VideoDBOutcomeUnknownError(
            f"{what} was sent and its answer was lost ({reason}): it may or may not have been carried out."
        )


def _is_worth_retrying(err: BaseException) -> bool:
    return isinstance(err, _RETRIED_ERRORS) and (err.retry_after or 0) <= MAX_RETRY_AFTER


def _wait(state: tenacity.RetryCallState) -> float:
    err = state.outcome.exception() if state.outcome else None
    asked = err.retry_after if isinstance(err, VideoDBAPIError) else None
    return max(asked or 0.0, BACKOFF(state))
