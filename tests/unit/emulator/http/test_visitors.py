"""Who may call the emulator."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LocalHost:8765", "[::1]:8765"])
def test_this_machine_may_call(api, host):
    assert api.get("/billing/usage", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/billing/usage", "/pay/cs_test_x", "/_emulator/state", "/health"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "0.0.0.0", ""])
def test_foreign_host_is_refused_everywhere(emulator, api, path, host):
    refused = api.get(path, headers={"Host": host})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "foreign_visitor")
    assert "Next step: " in refused.json()["message"]
    assert emulator.calls() == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"])
def test_page_of_another_site_can_neither_pay_nor_change(emulator, api, origin):
    api.post("/billing/topup", {"amount": 20})
    (checkout,) = emulator.checkouts()
    for path in (f"/pay/{checkout.id}", f"/_emulator/checkouts/{checkout.id}/pay", "/_emulator/page/reset"):
        assert api.post(path, headers={"Origin": origin}).status_code == 403
    assert [checkout.status for checkout in emulator.checkouts()] == ["pending"]


def test_own_page_may_pay(emulator, api):
    api.post("/billing/topup", {"amount": 20})
    (checkout,) = emulator.checkouts()
    assert api.post(f"/pay/{checkout.id}", headers={"Origin": emulator.base_url}).status_code == 303
    assert emulator.balance == 23


def test_named_host_is_allowed_with_its_own_pages(emulator, api):
    emulator.change_settings(allowed_hosts=["VideoDB.test"])
    headers = {"Host": "videodb.test:8443", "Origin": "https://videodb.test:8443"}
    assert api.get("/billing/usage", headers=headers).status_code == 200
    assert api.get("/billing/usage", headers=headers | {"Origin": "https://evil.test"}).status_code == 403
