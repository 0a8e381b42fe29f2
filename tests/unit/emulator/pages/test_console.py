"""The buttons of the overview, without a browser."""

from __future__ import annotations

import re
from html import unescape

import pytest
import requests


@pytest.fixture
def press(emulator):
    """Send a form as a browser does, and follow its redirect."""

    def send(action, **fields):
        origin = {"Origin": emulator.base_url}
        return requests.post(f"{emulator.base_url}/_emulator/page/{action}", data=fields, headers=origin, timeout=60)

    return send


@pytest.fixture
def checkout(emulator, api):
    api.post("/billing/topup", {"amount": 50})
    return emulator.checkouts()[0]


def test_checkout_is_paid(emulator, press, checkout):
    page = press(f"pay/{checkout.id}")
    assert (page.status_code, page.url) == (200, f"{emulator.base_url}/")
    assert emulator.balance == 53


def test_checkout_is_expired(emulator, press, checkout):
    press(f"expire/{checkout.id}")
    assert emulator.checkout(checkout.id).status == "expired"


def test_balance_clock_and_reset(emulator, press, checkout):
    before = emulator.now()
    press("balance", credits="12.5")
    press("advance", seconds="3600")
    assert emulator.balance == 12.5
    assert (emulator.now() - before).total_seconds() >= 3600
    press("reset")
    assert (emulator.balance, emulator.checkouts()) == (3, [])


def test_fault_is_added_and_cleared(emulator, press, api):
    page = press("faults", kind="status", path="/billing/usage", status="503", times="2")
    assert "/billing/usage" in page.text
    assert api.get("/billing/usage").status_code == 503
    (fault,) = emulator.faults()
    assert re.search(r'data-label="Calls left ">1<', press("advance", seconds="0").text)
    press(f"faults/{fault.id}/remove")
    assert api.get("/billing/usage").status_code == 200


@pytest.mark.parametrize(
    ("action", "fields", "message"),
    [
        ("balance", {"credits": "lots"}, "credits must be a number, got 'lots'"),
        ("balance", {}, "credits must be a number, got ''"),
        ("balance", {"credits": "9" * 20_000}, "credits must be a number, got ''"),
        ("advance", {"seconds": "-1"}, "seconds must be between 0"),
        ("faults", {"kind": "quake"}, "kind must be one of"),
        ("faults", {"kind": "status", "status": "42"}, "status must be between 200 and 599, got 42"),
        ("faults", {"kind": "status", "times": "many"}, "times must be a number, got 'many'"),
        ("faults/fault-9/remove", {}, "no fault fault-9"),
        ("pay/cs_test_x", {}, "no checkout cs_test_x"),
    ],
)
def test_wrong_value_is_named_on_the_page(emulator, press, action, fields, message):
    page = press(action, **fields)
    assert page.status_code == 400
    assert message in unescape(page.text)
    assert "Nothing was changed. Next step: " in page.text
    assert (emulator.balance, emulator.faults()) == (3, [])


def test_polls_are_hidden_unless_asked_for(emulator, api):
    api.get("/billing/usage")
    api.get("/billing/nothing")
    page, polls = (requests.get(f"{emulator.base_url}/{query}", timeout=60).text for query in ("", "?polls=1"))
    assert "/billing/usage" not in page
    assert "/billing/nothing" in page
    assert "1 poll hidden" in page
    assert "/billing/usage" in polls
    assert "Hide polls" in polls


def test_amounts_are_shown_in_their_unit(emulator, api, checkout):
    api.post("/billing/auto_recharge", {"enabled": True, "threshold": 2, "amount": 30})
    emulator.charge(2, "search")
    page = requests.get(f"{emulator.base_url}/", timeout=60).text
    for text in ("<td>$50.00</td>", "<td>30 credits</td>", "<td>-2</td>", "<code>search</code>", "<td>+3</td>"):
        assert text in page


def test_overview_refreshes_by_a_script_of_its_own_address(emulator):
    page = requests.get(f"{emulator.base_url}/", timeout=60)
    (source,) = re.findall(r'<script src="([^"]+)">', page.text)
    script = requests.get(emulator.base_url + source, timeout=60)
    assert script.headers["content-type"].startswith("text/javascript")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert emulator.calls() == []
