"""Settings of automatic recharge are written and read back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBNotSentError,
    VideoDBServerError,
    VideoDBSettingsNotAppliedError,
)
from tests.support.api import client_of
from tests.support.raw_server import RawServer, raw_response


class Settings:
    """Auto-recharge on a server that may or may not do what it is told."""

    def __init__(self, stored, *, sample=False, obeys=True, write=None):
        self.stored = stored
        self.names = ("threshold_credits", "recharge_amount") if sample else ("threshold", "amount")
        self.sample = sample
        self.obeys = obeys
        self.write = raw_response({"success": True}) if write is None else write

    def __call__(self, request):
        if request.method == "POST":
            if self.obeys:
                wanted = {name: request.json[name] for name in ("enabled", *self.names) if name in request.json}
                self.stored = self.stored | wanted
            return self.write
        fields = {"enabled": self.stored["enabled"]} | {
            name: self.stored.get(name, self.stored.get(plain))
            for name, plain in zip(self.names, ("threshold", "amount"), strict=True)
        }
        return raw_response({"success": True, **fields} if self.sample else {"success": True, "data": fields})


STORED = {"enabled": False, "threshold": 10, "amount": 50}


@pytest.mark.parametrize("sample", [False, True])
def test_settings_are_written_in_both_dialects(sample):
    with RawServer(Settings(STORED, sample=sample)) as server:
        found = client_of(server).set_auto_recharge(enabled=True, threshold=Decimal("100.1"), amount=Decimal(500))
    assert (found.enabled, found.threshold, found.amount) == (True, Decimal("100.1"), 500)
    assert [request.method for request in server.requests] == ["POST", "GET"]
    assert server.requests[0].json == {
        "enabled": True,
        "threshold": 100.1,
        "threshold_credits": 100.1,
        "amount": 500,
        "recharge_amount": 500,
    }


def test_disabling_keeps_the_figures():
    with RawServer(Settings(STORED | {"enabled": True})) as server:
        found = client_of(server).set_auto_recharge(enabled=False)
    assert server.requests[0].json == {"enabled": False}
    assert (found.enabled, found.threshold, found.amount) == (False, 10, 50)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"enabled": True}, "enabled"),
        ({"enabled": False, "threshold": Decimal(11)}, "threshold"),
        ({"enabled": False, "amount": Decimal(51)}, "amount"),
    ],
)
def test_settings_without_effect_are_an_error(arguments, named):
    with (
        RawServer(Settings(STORED, obeys=False)) as server,
        pytest.raises(VideoDBSettingsNotAppliedError, match=f"settings of automatic recharge: {named}\\."),
    ):
        client_of(server).set_auto_recharge(**arguments)


@pytest.mark.parametrize(
    "lost",
    [
        b"",
        raw_response(b"", 500),
        raw_response(b"<html>"),
        raw_response(b"<html>", 403),
        raw_response(b"", 302),
        raw_response(b"", 204),
        raw_response(b"", 408),
    ],
)
@pytest.mark.parametrize("obeys", [True, False])
def test_lost_response_is_decided_by_reading_back(lost, obeys):
    settings = Settings(STORED, obeys=obeys, write=lost)
    # An empty response means that the server hangs up.
    with RawServer(settings, hang_up=not lost) as server:
        client = client_of(server)
        if obeys:
            assert client.set_auto_recharge(enabled=True).enabled is True
        else:
            with pytest.raises(VideoDBSettingsNotAppliedError):
                client.set_auto_recharge(enabled=True)
    assert [request.method for request in server.requests] == ["POST", "GET"]


def test_refused_write_is_not_read_back():
    with RawServer(raw_response({"success": False}, 401)) as server, pytest.raises(VideoDBAuthenticationError):
        client_of(server).set_auto_recharge(enabled=True)
    assert len(server.requests) == 1


def test_unsent_write_is_not_read_back():
    with RawServer() as server:
        client = client_of(server)
    with pytest.raises(VideoDBNotSentError, match="POST"):
        client.set_auto_recharge(enabled=True)


def test_settings_that_cannot_be_read_back_are_an_error():
    with (
        RawServer(raw_response({"success": True}), raw_response(b"", 500)) as server,
        pytest.raises(VideoDBServerError, match="GET"),
    ):
        client_of(server).set_auto_recharge(enabled=True)
