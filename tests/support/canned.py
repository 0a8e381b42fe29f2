"""
A client that gets responses of a test, without a socket.

`outcome_of` has the rule for what the client may make of them.
"""

from __future__ import annotations

import io
import json
from dataclasses import fields, is_dataclass
from decimal import Decimal

from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.session import VideoDBSession
from airflow_provider_videodb.exceptions import VideoDBAPIError, VideoDBError, VideoDBSettingsNotAppliedError
from tests.support.hostile import KEY
from tests.support.leaks import Scanner

BASE_URL = "https://api.videodb.test"
#: Longer figures fit neither a log line nor a message.
LONGEST_FIGURE = 2000


class _Canned(HTTPAdapter):
    """Returns the same response to every request."""

    response = 200, {}, b""

    def send(self, request, **_):
        status, headers, body = self.response
        raw = HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
        return self.build_response(request, raw)


class _CannedSession(VideoDBSession):
    """Stays open, because a POST closes its session."""

    def close(self):
        pass


# Making a client takes longer than a call, because it prepares to find its key in texts.
_CLIENT = BillingClient(KEY, base_url=BASE_URL, max_retries=0)
_ADAPTER = _Canned()
_SESSION = _CannedSession(api_key=KEY, user_agent="x", loopback=False)
_SESSION.mount("https://", _ADAPTER)
_CLIENT._transport._session = _SESSION
_CLIENT._transport._new_session = lambda: _SESSION


def client_with_response(body, *, status=200, headers=()):
    """Return a client that gets this response to each call."""
    _ADAPTER.response = status, dict(headers), body
    _CLIENT._whole_list = {}
    return _CLIENT


def outcome_of(call, client):
    """Return what a call returned, or its error. Check either."""
    try:
        value = call(client)
    except VideoDBError as error:
        check_error(error)
        return error
    for part in value if isinstance(value, list) else [value]:
        check_value(part)
    return value


_SCANNER = Scanner(KEY)


def check_error(error):
    """
    Check an error of a call.

    It is typed, has no cause, tells a next step on one line, and does not show the key.
    """
    assert isinstance(error, VideoDBAPIError | VideoDBSettingsNotAppliedError)
    assert type(error).__module__ == "airflow_provider_videodb.exceptions"
    if not isinstance(error, VideoDBSettingsNotAppliedError):
        assert error.__cause__ is None
        assert error.__context__ is None
    text = str(error)
    assert text.isprintable()
    assert len(text) < LONGEST_FIGURE
    assert text.count("Next step: ") == 1
    _check_can_be_stored(f"{text}{error!r}{vars(error)}", piece=8)


def check_value(value):
    """
    Check a model that a call returned.

    Its figures are finite and of a usable length. Its texts can be stored, and do not show the key.
    """
    assert is_dataclass(value)
    for field in fields(value):
        found = getattr(value, field.name)
        for figure in found.values() if hasattr(found, "values") else [found]:
            if isinstance(figure, Decimal):
                assert figure.is_finite()
                assert len(f"{figure:f}") < LONGEST_FIGURE
    if hasattr(value, "to_dict"):
        json.dumps(value.to_dict(), allow_nan=False)
    for name in ("id", "status", "currency"):
        assert (getattr(value, name, None) or "").isprintable()
    # Ids and links may share a shorter piece by chance.
    _check_can_be_stored("\n".join(str(getattr(value, field.name)) for field in fields(value)), piece=16)


def _check_can_be_stored(text, *, piece):
    assert "\0" not in text
    assert _SCANNER.found_in(text.encode(), piece=piece) is None
