"""Start and stop of an emulator in a test."""

from __future__ import annotations

import json
import re
import socket
import threading

import pytest
import requests

from airflow_provider_videodb.emulator.errors import InsufficientCreditsError, InvalidValueError
from airflow_provider_videodb.emulator.server import Emulator


def usage(base_url, key):
    return requests.get(f"{base_url}/billing/usage", headers={"x-access-token": key}, timeout=60)


def test_emulator_has_its_address_and_connection():
    with Emulator(credits="3.5", api_key="sk-mine") as emulator:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", emulator.base_url)
        assert usage(emulator.base_url, "sk-mine").json()["data"]["credit_balance"] == 3.5
        expected = {"conn_type": "videodb", "password": "sk-mine", "host": emulator.base_url}
        assert emulator.connection == json.loads(emulator.connection_json) == expected


def test_emulator_listens_on_loopback_only(emulator):
    other = socket.create_connection(("127.0.0.1", emulator.port))
    assert other.getpeername()[0] == "127.0.0.1"
    other.close()
    # A server on all interfaces would accept this address too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", emulator.port), timeout=5)


def test_offline_emulator_keeps_its_account_and_port(emulator, api):
    api.post("/billing/topup", {"amount": 50})
    base_url = emulator.base_url
    with emulator.offline(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", emulator.port), timeout=5)
    assert emulator.base_url == base_url
    assert len(api.get("/billing/checkouts").json()["data"]) == 1
    assert len(emulator.calls()) == 2


def test_wrong_use_is_an_error():
    with pytest.raises(InvalidValueError, match="dialect must be one of openapi, sample"):
        Emulator(dialect="french")
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = emulator.base_url
    emulator.stop()
    with emulator:
        with pytest.raises(RuntimeError, match="already running"):
            emulator.start()
        with pytest.raises(InsufficientCreditsError):
            emulator.charge(4)
        with pytest.raises(OSError, match="Address already in use"):
            Emulator(port=emulator.port).start()


def test_stopped_emulator_leaves_no_thread():
    before = threading.active_count()
    for _ in range(5):
        with Emulator() as emulator:
            usage(emulator.base_url, emulator.api_key)
    assert threading.active_count() == before


def test_two_emulators_share_nothing():
    with Emulator(credits=1, api_key="sk-one") as one, Emulator(credits=2, api_key="sk-two") as two:
        one.charge(1)
        assert (one.balance, two.balance) == (0, 2)
        assert one.base_url != two.base_url
