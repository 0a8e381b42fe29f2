"""The log of API calls."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_videodb.emulator.server import Emulator


def test_call_log_has_the_request_but_never_the_key(emulator, api):
    key = emulator.api_key
    api.post("/billing/topup", {"amount": 50, "note": key}, headers={"Idempotency-Key": "k1", "User-Agent": "tests/1"})
    api.get(f"/billing/usage?key={key}", headers={"x-access-token": "sk-wrong"})
    topup, usage = emulator.calls()
    assert (topup.method, topup.path, topup.status, topup.accepted, topup.done) == (
        "POST",
        "/billing/topup",
        200,
        True,
        True,
    )
    assert json.loads(topup.body)["amount"] == 50
    assert topup.headers["idempotency-key"] == "k1"
    assert topup.headers["user-agent"] == "tests/1"
    assert (usage.status, usage.accepted) == (401, False)
    assert key not in repr(emulator.calls())
    assert "sk-wrong" not in repr(emulator.calls())


def test_call_log_is_bounded(api, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.emulator.account.calls.MOST_CALLS", 3)
    with Emulator() as small:
        for offset in range(5):
            requests.get(f"{small.base_url}/billing/usage?offset={offset}", timeout=60)
        assert [call.query for call in small.calls()] == ["offset=2", "offset=3", "offset=4"]
    assert [call.number for call in small.calls()] == [3, 4, 5]


def test_wait_for_calls_times_out(emulator):
    with pytest.raises(TimeoutError, match="0 of 1"):
        emulator.wait_for_calls(path="/billing/usage", timeout=0.05)
