"""
An HTTP session for one VideoDB account, and reading the body of a response within bounds.

It sends nothing twice, follows no redirect, and hands the key to the host that was asked and to nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from airflow_provider_videodb.api.read_deadline import MAX_RESPONSE_BYTES, ResponseTooLongError, guarded

if TYPE_CHECKING:
    from urllib3 import PoolManager

#: Only what one read of this size expands to is ever held beyond the cap: these shrink a text to a thousandth at most.
_CODINGS = ("gzip", "deflate")
_READ_BYTES = 4096


class _TokenAuth(AuthBase):
    """Puts the key on a request at the last moment; being the session's auth, it also rules ``.netrc`` out."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["x-access-token"] = self._api_key
        return request


class _GuardedAdapter(HTTPAdapter):
    """Makes its connections, those through a proxy too, as :mod:`deadline` has them; sends nothing twice."""

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _guard(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        _guard(manager)
        return manager


def _guard(manager: PoolManager) -> None:
    pool_classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: guarded(pool_class) for scheme, pool_class in pool_classes.items()}


class VideoDBSession(requests.Session):
    """
    Follows no redirect, and reaches this machine itself without a proxy.

    The environment's bundle of certificates holds for this machine as for any other.

    :param loopback: whether VideoDB is on this machine itself.
    """

    def __init__(self, *, api_key: str, user_agent: str, loopback: bool) -> None:
        super().__init__()
        self._loopback = loopback
        self.auth = _TokenAuth(api_key)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _GuardedAdapter())
        self.headers.update(
            {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ", ".join(_CODINGS)}
        )

    def get_redirect_target(self, resp: requests.Response) -> None:
        """
        Name no target, so that the body of a redirect stays unread.

        With a target, ``requests`` reads that body whole, past every cap, and also where redirects are not followed.
        """

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """Return what of the environment holds for a request."""
        settings = super().merge_environment_settings(*args, **kwargs)
        # A proxy cannot reach this host's loopback, and would be handed the key in clear text.
        return settings | {"proxies": {}} if self._loopback else settings


def body_of(response: requests.Response) -> bytes:
    """Return the body, as far as it can say anything beyond the status."""
    status = response.status_code
    if 300 <= status < 400:
        return b""
    try:
        return _read_body(response)
    except (OSError, HTTPError):
        # The status of a failure has arrived, and stands without its words.
        if status < 400:
            raise
        return b""


def _read_body(response: requests.Response) -> bytes:
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", *_CODINGS):
        raise requests.exceptions.ContentDecodingError(f"the answer is encoded as {coding}, which was not asked for")
    body = bytearray()
    while chunk := response.raw.read(_READ_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise ResponseTooLongError
    return bytes(body)
