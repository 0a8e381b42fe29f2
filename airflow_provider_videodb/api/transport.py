"""
One request to VideoDB, and its outcome.

- A failed GET is retried. A POST is sent exactly once.
- A redirect is an error, because ``requests`` would send the key in ``x-access-token`` to another host.
- The API key appears in no log line, message, ``repr`` or exception chain.
- A response that is late, cut off or too long is an error.
- A request counts as "not sent" only if no byte of it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_videodb.api.decoding import decode
from airflow_provider_videodb.api.failures import (
    TRANSPORT_ERRORS,
    describe_exception,
    error_for_status,
    error_text,
    is_error_of_videodb,
    step_after_unknown,
)
from airflow_provider_videodb.api.parsing import unreadable
from airflow_provider_videodb.api.read_deadline import noting_writes
from airflow_provider_videodb.api.redaction import QUOTED_RUN, Redactor
from airflow_provider_videodb.api.retries import call_with_retries, read_retry_after
from airflow_provider_videodb.api.session import VideoDBSession, body_of
from airflow_provider_videodb.api.urls import check_api_key, check_base_url, is_loopback
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBError,
    VideoDBGatewayError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBResponseError,
)

if TYPE_CHECKING:
    import requests

#: Seconds in which the host has to accept a connection. A slow host accepts it quickly and responds late.
CONNECT_TIMEOUT = 10.0

#: In fields, a longer run than in quoted text is hidden, because ids and links may share a shorter one by chance.
_FIELD_RUN = 16
_MAX_QUOTE = 300

_Read = TypeVar("_Read")
_JsonObject = Mapping[str, Any]


class Transport:
    """
    Sends requests to one VideoDB account.

    Every failure becomes a typed error.

    :param api_key: the account's API key.
    :param base_url: VideoDB's address; ``http://`` only for a loopback host.
    :param timeout: seconds in which the whole response has to arrive.
    :param max_retries: how often a failed GET is retried.
    :param user_agent: the name of this client.
    :raises VideoDBConfigError: if the key or the address cannot be used. Nothing was sent.
    """

    def __init__(self, *, api_key: str, base_url: str, timeout: float, max_retries: int, user_agent: str) -> None:
        self._api_key = check_api_key(api_key)
        self.base_url = check_base_url(base_url)
        self.timeout = timeout
        self.max_retries = max_retries
        self._user_agent = user_agent
        self._hide_in_fields = Redactor(api_key, run=_FIELD_RUN)
        self._hide_in_quotes = Redactor(api_key, run=QUOTED_RUN)
        self._session = self._new_session()

    def close(self) -> None:
        """Close the connections to VideoDB."""
        self._session.close()

    def get(self, path: str, read: Callable[[_JsonObject], _Read], *, params: Mapping[str, Any] | None = None) -> _Read:
        """Read the JSON object at ``path``, with retries."""
        return call_with_retries(
            lambda: self._send(self._session, "GET", path, read, params=params), max_retries=self.max_retries
        )

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
        Send ``payload`` once and read the JSON object that comes back.

        :param before_send: called right before the first byte is written. If it raises, nothing is sent.
        """
        # Use a fresh connection. A server may close an idle keep-alive connection just as we send, which would leave
        # the outcome of the POST unknown.
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
        received: tuple[requests.Response, bytes] | None = None
        with noting_writes(before=before_send) as writing:
            try:
                with session.request(
                    method,
                    self.base_url + path,
                    timeout=(self._connect_timeout, self.timeout),
                    allow_redirects=False,
                    stream=True,
                    **request,
                ) as response:
                    received = response, body_of(response)
            except VideoDBError:
                # `before_send` refused. Some of our errors are a ValueError, as some errors of urllib3 are.
                raise
            except TRANSPORT_ERRORS as err:
                failure = self._transport_error(what, method, err, written=writing.begun)
        # Raise outside the handler, so that the error has no cause. The error of requests carries the key in the
        # headers of its request, and the error of urllib3 quotes what a server sent.
        if received is None:
            raise failure
        return self._read_response(what, *received, read)

    @property
    def _connect_timeout(self) -> float:
        return min(CONNECT_TIMEOUT, self.timeout)

    def _read_response(
        self, what: str, response: requests.Response, body: bytes, read: Callable[[_JsonObject], _Read]
    ) -> _Read:
        status = response.status_code
        if 300 <= status < 400:
            raise self._redirect_error(what, response)
        value = decode(body, clean=self._hide_in_fields)
        fields = value if isinstance(value, Mapping) else {}
        success = fields.get("success", True)
        if status >= 400 or success is False:
            raise self._status_error(what, response, body, fields)
        if not isinstance(value, Mapping):
            raise self._error(
                VideoDBGatewayError,
                f"{what} returned HTTP {status} with {self._described(response, body)}, which is not a JSON object.",
                "check the base URL (the connection's host) and the proxy.",
                response,
            )
        try:
            if success is not True:
                raise unreadable("success", success, "true or false")
            if value.get("status") == "processing":
                raise unreadable("status", "processing", "a finished call")
            return read(value)
        except VideoDBResponseError as err:
            unread = self._quotable(str(err))
        # Raise outside the handler for the same reason as above.
        raise self._error(
            VideoDBResponseError,
            f"{what} returned HTTP {status}. {unread}",
            "install a newer version of airflow-provider-videodb, if there is one.",
            response,
        )

    def _redirect_error(self, what: str, response: requests.Response) -> VideoDBAPIError:
        target = self._quotable(response.headers.get("Location", "nowhere"))
        return self._error(
            VideoDBResponseError,
            f"{what} was redirected to {target} (HTTP {response.status_code}). The redirect was not followed, because "
            "the other host would receive the API key.",
            "put the API's own address into the connection's host.",
            response,
        )

    def _status_error(
        self, what: str, response: requests.Response, body: bytes, fields: Mapping[str, Any]
    ) -> VideoDBAPIError:
        code, message = fields.get("error_code"), fields.get("message")
        error_code = self._quotable(str(code)) if isinstance(code, str | int) else None
        request_id = self._request_id(response)
        error, next_step = error_for_status(
            str(response.request.method), response.status_code, from_videodb=is_error_of_videodb(fields)
        )
        ids = {"error code": error_code, "request id": request_id}
        details = ", ".join([f"HTTP {response.status_code}", *(f"{name} {text}" for name, text in ids.items() if text)])
        said = f' VideoDB says: "{self._quotable(message)}".' if isinstance(message, str) and message else ""
        if error is VideoDBGatewayError:
            said = (
                f" The response is {self._described(response, body)}. VideoDB did not write it, so a proxy or a "
                "gateway did."
            )
        return self._error(error, f"{what} failed ({details}).{said}", next_step, response, error_code=error_code)

    def _error(
        self,
        error: type[VideoDBAPIError],
        happened: str,
        next_step: str,
        response: requests.Response,
        *,
        error_code: str | None = None,
    ) -> VideoDBAPIError:
        retry_after = read_retry_after(response.headers.get("Retry-After"), date=response.headers.get("Date"))
        method = str(response.request.method)
        return error(
            error_text(happened, error, next_step, method=method, retry_after=retry_after),
            method=method,
            status=response.status_code,
            error_code=error_code,
            request_id=self._request_id(response),
            retry_after=retry_after,
        )

    def _described(self, response: requests.Response, body: bytes) -> str:
        kind = self._quotable(response.headers.get("Content-Type", "no content type"))[:80]
        return f"{len(body)} bytes of {kind}"

    def _request_id(self, response: requests.Response) -> str | None:
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
        return None if request_id is None else self._quotable(request_id)

    def _quotable(self, text: str) -> str:
        """Return a server's words on one short line, without the key."""
        # Cut first, because the search compares every character. A part of the key is hidden as the whole key is.
        # A next step in a server's words must not pass for ours.
        short = text[: 4 * _MAX_QUOTE].replace(self._api_key, "***").replace("Next step:", "next step:")
        hidden = self._hide_in_quotes(short)
        harmless = (letter if letter.isprintable() else " " for letter in hidden)
        return " ".join("".join(harmless).split())[:_MAX_QUOTE]

    def _transport_error(self, what: str, method: str, err: Exception, *, written: bool) -> VideoDBAPIError:
        error: type[VideoDBAPIError]
        if written:
            error, outcome, seconds = VideoDBOutcomeUnknownError, "was sent, but its response was lost", self.timeout
            next_step = step_after_unknown(method)
        else:
            error, outcome, seconds = VideoDBNotSentError, "was not sent", self._connect_timeout
            next_step = "check the network, the base URL (the connection's host) and the proxy."
        reason = self._quotable(describe_exception(err, seconds=seconds))
        return error(error_text(f"{what} {outcome}, because {reason}.", error, next_step, method=method), method=method)
