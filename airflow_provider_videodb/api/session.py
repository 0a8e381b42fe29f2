"""
The HTTP session of one VideoDB account.

It sends no request twice, follows no redirect, and sends the key only to the host that was asked. It reads a body up to
a maximum size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from airflow_provider_videodb.api.read_deadline import MAX_RESPONSE_BYTES, ResponseTooLongError, with_deadlines

if TYPE_CHECKING:
    from urllib3 import PoolManager

#: These codings shrink a text to a thousandth at most. One read of 4,096 bytes therefore expands to 4 MB at most, and
#: memory holds no more than that beyond the maximum size.
_CODINGS = ("gzip", "deflate")
_READ_BYTES = 4096


class _TokenAuth(AuthBase):
    """
    Adds the key to a request right before it is sent.

    A session that has an ``auth`` does not read ``.netrc``.
    """

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["x-access-token"] = self._api_key
        return request


class _DeadlineAdapter(HTTPAdapter):
    """Opens connections with a deadline, through a proxy too, and retries nothing."""

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _set_deadlines(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        _set_deadlines(manager)
        return manager


def _set_deadlines(manager: PoolManager) -> None:
    pool_classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: with_deadlines(pool_class) for scheme, pool_class in pool_classes.items()}


class VideoDBSession(requests.Session):
    """
    Sends requests without redirects, and to a loopback host without a proxy.

    The certificates that the environment names are trusted for every host, loopback included.

    :param loopback: whether VideoDB is on this machine.
    """

    def __init__(self, *, api_key: str, user_agent: str, loopback: bool) -> None:
        super().__init__()
        self._loopback = loopback
        self.auth = _TokenAuth(api_key)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _DeadlineAdapter())
        self.headers.update(
            {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ", ".join(_CODINGS)}
        )

    def get_redirect_target(self, resp: requests.Response) -> None:
        """
        Return no target, so that the body of a redirect stays unread.

        If there is a target, ``requests`` reads the whole body without a limit, even if it does not follow redirects.
        """

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """Return the settings of the environment for a request."""
        settings = super().merge_environment_settings(*args, **kwargs)
        # A proxy cannot reach our loopback interface, and it would receive the key in clear text.
        return settings | {"proxies": {}} if self._loopback else settings


def body_of(response: requests.Response) -> bytes:
    """Return the body, or nothing where the status alone counts."""
    status = response.status_code
    if 300 <= status < 400:
        return b""
    try:
        return _read_body(response)
    except (OSError, HTTPError):
        # The status of a failure has arrived. It counts without the body.
        if status < 400:
            raise
        return b""


def _read_body(response: requests.Response) -> bytes:
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", *_CODINGS):
        raise requests.exceptions.ContentDecodingError(f"unexpected encoding {coding}")
    body = bytearray()
    while chunk := response.raw.read(_READ_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise ResponseTooLongError
    return bytes(body)
