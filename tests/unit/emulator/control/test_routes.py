"""The control API over HTTP."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_videodb import __version__


def test_state_has_everything_except_the_key(emulator, api, control):
    api.post("/billing/topup", {"amount": 50, "redirect_url": "https://example.com/done"})
    emulator.charge("0.5", "index")
    response = control("GET", "/state")
    state = response.json()
    (checkout,) = state["checkouts"]
    assert checkout["url"] == emulator.payment_url(checkout["id"])
    assert (checkout["amount"], checkout["credits"], checkout["status"]) == (50, 50, "pending")
    assert checkout["success_url"] == "https://example.com/done"
    assert (state["balance"], state["usage"]["breakdown"], state["invoices"]) == (2.5, {"index": 0.5}, [])
    assert state["auto_recharge"] == {"enabled": False, "threshold": 0, "amount": 0}
    assert (state["faults"], state["clock_offset"]) == ([], 0)
    assert state["settings"]["dialect"] == "openapi"
    assert emulator.api_key not in response.text


def test_checkout_is_paid_and_expired_by_its_id(emulator, api, control):
    for _ in range(2):
        api.post("/billing/topup", {"amount": 50})
    second, first = emulator.checkouts()
    for _ in range(2):
        paid = control("POST", f"/checkouts/{first.id}/pay").json()
        assert (paid["checkout"]["status"], paid["balance"]) == ("completed", 53)
    assert control("POST", f"/checkouts/{second.id}/expire").json()["checkout"]["status"] == "expired"
    assert control("POST", f"/checkouts/{second.id}/pay").json()["error_code"] == "checkout_closed"
    assert control("POST", f"/checkouts/{first.id}/expire").status_code == 400
    assert control("POST", "/checkouts/cs_test_x/pay").status_code == 404
    assert emulator.balance == 53


def test_advance_moves_the_clock(emulator, api, control):
    api.post("/billing/topup", {"amount": 50})
    before = emulator.now()
    assert control("POST", "/advance", {"seconds": 86400}).status_code == 200
    assert 86400 <= (emulator.now() - before).total_seconds() < 86400 + 60
    assert api.get("/billing/checkouts").json()["data"][0]["status"] == "expired"
    assert control("POST", "/advance", {"seconds": -1}).status_code == 400


def test_balance_is_set_and_charged(emulator, control):
    assert control("POST", "/balance", {"credits": 10.1}).json()["balance"] == 10.1
    assert control("POST", "/charge", {"credits": 10, "operation": "index"}).json()["balance"] == 0.1
    short = control("POST", "/charge", {"credits": 1})
    assert (short.status_code, short.json()["error_code"]) == (402, "insufficient_credits")
    assert emulator.usage().breakdown == {"index": 10}


def test_settings_change_at_once(emulator, api, control):
    changed = control("POST", "/settings", {"dialect": "sample", "list_lag": 60, "idempotency": "honour"}).json()
    assert changed["settings"]["list_lag"] == 60
    control("POST", "/settings", {"charge_stored_card": True})
    api.post("/billing/topup", {"amount": 50})
    assert emulator.balance == 53
    assert api.get("/billing/checkouts").json() == {"success": True, "checkouts": []}
    for wrong in ({"dialect": "x"}, {"self": 1}, {"list_lag": -1}):
        assert control("POST", "/settings", wrong).status_code == 400
    assert emulator.settings.idempotency == "honour", "a refused change changes nothing"


def test_faults_are_added_and_removed(emulator, api, control):
    made = control("POST", "/faults", {"kind": "status", "status": 503, "path": "/billing/usage", "times": None}).json()
    assert api.get("/billing/usage").status_code == 503
    assert [fault["id"] for fault in control("GET", "/state").json()["faults"]] == [made["fault"]["id"]]
    assert control("DELETE", f"/faults/{made['fault']['id']}").status_code == 200
    assert control("DELETE", f"/faults/{made['fault']['id']}").status_code == 404
    assert api.get("/billing/usage").status_code == 200
    control("POST", "/faults", {"kind": "hang"})
    control("DELETE", "/faults")
    assert emulator.faults() == []


def test_calls_are_filtered_and_cleared(emulator, api, control):
    api.get("/billing/usage")
    api.post("/billing/topup", {"amount": 5}, headers={"Idempotency-Key": "k"})
    emulator.add_fault("drop_before")
    with pytest.raises(requests.ConnectionError):
        api.post("/billing/topup", {"amount": 5})

    def calls(query=""):
        return control("GET", f"/calls{query}").json()["calls"]

    assert [call["path"] for call in calls()] == ["/billing/usage", "/billing/topup", "/billing/topup"]
    assert [call["accepted"] for call in calls("?method=POST&path=/billing/*")] == [True, False]
    (accepted,) = calls("?path=/billing/topup&accepted=true")
    assert accepted["headers"]["idempotency-key"] == "k"
    assert accepted["status"] == 200
    (dropped,) = calls("?accepted=false")
    assert (dropped["fault"], dropped["status"]) == ("drop_before", None)
    assert control("GET", "/calls?accepted=maybe").status_code == 400
    control("DELETE", "/calls")
    assert calls() == []


def test_reset_returns_to_the_start(api, control, emulator):
    api.post("/billing/topup", {"amount": 5})
    emulator.change_settings(dialect="sample")
    emulator.advance(500)
    emulator.add_fault("hang")
    emulator.charge(1)
    state = control("POST", "/reset").json()
    assert (state["balance"], state["checkouts"], state["faults"], state["clock_offset"]) == (3, [], [], 0)
    assert state["settings"]["dialect"] == "openapi"
    assert emulator.calls() == []


@pytest.mark.parametrize(("path", "body"), [("/advance", {}), ("/balance", {}), ("/charge", {}), ("/balance", [1])])
def test_missing_field_is_400(control, path, body):
    refused = control("POST", path, body)
    assert refused.status_code == 400
    assert refused.json()["success"] is False


def test_health_needs_no_key_and_is_not_logged(emulator):
    emulator.add_fault("status", path="*")
    health = requests.get(f"{emulator.base_url}/health", timeout=60).json()
    assert (health["status"], health["version"]) == ("ok", __version__)
    assert emulator.calls() == []
