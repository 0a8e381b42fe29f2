"""Ways in which a connection to VideoDB breaks, and what a POST then has to report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
)
from tests.conftest import API_KEY
from tests.support.raw_server import raw_response

if TYPE_CHECKING:
    from collections.abc import Callable


PAGE = b"<html><title>Just a moment...</title></html>"
#: Longer than the buffers between two sockets, so that a break can happen while it is written.
LONG = "x" * 16_000_000


@dataclass(frozen=True)
class Break:
    """
    A way in which a connection breaks.

    :param error: the error that the caller gets.
    :param received: how much of the request reached VideoDB's host: nothing, part or whole.
    :param charged: whether VideoDB carried it out.
    :param timeout: seconds; short if the timeout is what ends the call.
    """

    error: type[VideoDBAPIError]
    received: str = "nothing"
    charged: bool = False
    tunnel: Callable | None = None
    front: Callable | None = None
    timeout: float = 10
    long: bool = False


def page(status, content=PAGE):
    return raw_response(content, status, Content_Type="text/html")


def serve(front, connection):
    connection.sendall(front.carry_out(front.read(connection)))


def through(tunnel):
    tunnel.open()
    tunnel.relay()


NOT_SENT = VideoDBNotSentError
UNKNOWN = VideoDBOutcomeUnknownError


def buy(base_url, broken):
    payload = {"amount": 5} | ({"padding": LONG} if broken.long else {})
    caller = Transport(
        api_key=API_KEY,
        base_url=base_url,
        timeout=broken.timeout,
        max_retries=3,
        user_agent="airflow-provider-videodb/0",
    )
    with pytest.raises(VideoDBAPIError) as caught:
        caller.post("/billing/topup", dict, payload=payload)
    return caught.value


def check(error, broken, front, emulator):
    """Compare the error with what VideoDB received."""
    assert type(error) is broken.error
    received = bytes(front.received)
    length = len(received)
    expected = {"nothing": length == 0, "part": 0 < length < len(LONG), "whole": received.startswith(b"POST ")}
    assert expected[broken.received], f"{length} bytes"
    assert received.count(b"POST /billing/topup") <= 1
    assert len(emulator.checkouts()) == broken.charged
    assert isinstance(error, NO_EFFECT_ERRORS if error.__class__ is NOT_SENT else OUTCOME_UNKNOWN_ERRORS)
    assert API_KEY not in str(error)
