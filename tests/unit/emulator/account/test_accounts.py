"""Several accounts of one emulator, over HTTP."""

from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_videodb.emulator.errors import InvalidValueError, UnknownAccountError


@pytest.fixture
def research(emulator):
    return emulator.add_account("research", credits=100)


@pytest.fixture
def team(emulator, research):
    return emulator.add_account("research_team", credits=7)


def call(account, method, path, json=None, key=None):
    """Call VideoDB's API with the key of an account."""
    headers = {"x-access-token": key or account.api_key}
    return requests.request(method, account.base_url + path, json=json, headers=headers, timeout=60)


def test_account_has_own_key_connection_and_balance(emulator, research):
    assert research.api_key == f"{emulator.api_key}-research"
    assert research.connection == {**emulator.connection, "password": research.api_key}
    assert call(research, "GET", "/billing/usage").json()["data"]["credit_balance"] == 100
    assert call(emulator, "GET", "/billing/usage").json()["data"]["credit_balance"] == 3
    assert emulator.account("research").balance == 100
    assert emulator.account("default").balance == 3


def test_checkout_is_paid_by_its_own_account(emulator, research):
    link = call(research, "POST", "/billing/topup", {"amount": 50}).json()["data"]["url"]
    assert emulator.checkouts() == []
    assert "$50.00" in requests.get(link, timeout=60).text
    requests.post(link, headers={"Origin": emulator.base_url}, timeout=60)
    assert (emulator.balance, research.balance) == (3, 150)
    (invoice,) = call(research, "GET", "/billing/invoices").json()["data"]
    assert "$50.00" in requests.get(invoice["pdf_url"], timeout=60).text


def test_job_is_unknown_to_another_account(emulator, research):
    job = call(research, "POST", "/collection/default/upload", {"url": "https://example.com/talk.mp4"}).json()["data"]
    assert call(research, "GET", f"/video/{job['id']}").status_code == 200
    assert call(emulator, "GET", f"/video/{job['id']}").status_code == 404


def test_fault_clock_and_reset_are_of_one_account(emulator, research):
    research.add_fault("status", status=503)
    research.advance(3600)
    assert call(emulator, "GET", "/billing/usage").status_code == 200
    assert call(research, "GET", "/billing/usage").status_code == 503
    assert (research.now() - emulator.now()).total_seconds() > 3500
    research.set_balance(1)
    emulator.set_balance(2)
    research.reset()
    assert (emulator.balance, research.balance) == (2, 100)


def test_unknown_key_is_refused_as_videodb_does(emulator, research):
    for key in (f"{emulator.api_key}-nobody", f"{research.api_key}x", "sk-foreign"):
        refused = call(research, "GET", "/billing/usage", key=key)
        assert (refused.status_code, refused.json()["error_code"]) == (401, "unauthorized")
    assert research.calls() == []
    assert [(call.account, call.status) for call in emulator.calls()] == [("", 401)] * 3


def test_log_has_the_account_but_no_key(emulator, research, team):
    call(team, "POST", "/billing/topup", {"amount": 50, "redirect_url": f"https://example.com/{team.api_key}"})
    call(research, "GET", f"/billing/{emulator.api_key}")
    (of_team,), (of_research,) = team.calls(), research.calls()
    assert (of_team.account, of_research.account) == ("research_team", "research")
    assert of_team.body.endswith('https://example.com/***"}')
    assert of_research.path == "/billing/***"


def test_control_api_reaches_each_account(emulator, research, control):
    assert control("GET", "/accounts").json()["accounts"] == [
        {"name": "default", "balance": 3},
        {"name": "research", "balance": 100},
    ]
    control("POST", "/balance?account=research", {"credits": 40})
    control("POST", "/faults?account=research", {"kind": "status", "status": 503})
    control("POST", "/settings?account=research", {"pay_after": 0})
    assert (emulator.balance, research.balance) == (3, 40)
    assert control("GET", "/state").json()["account"] == "default"
    state = control("GET", "/state?account=research")
    assert (state.json()["account"], state.json()["balance"]) == ("research", 40)
    assert emulator.api_key not in state.text
    assert (len(emulator.faults()), len(research.faults())) == (0, 1)
    assert emulator.settings.pay_after is None
    unknown = control("POST", "/balance?account=nobody", {"credits": 1})
    assert unknown.status_code == 404
    assert unknown.json()["message"] == (
        "no account 'nobody'; known are default, research. Nothing was changed. "
        "Next step: take a name from GET /_emulator/accounts."
    )


def test_key_of_another_account_is_refused(emulator, research):
    for change in (
        lambda: emulator.change_settings(api_key=research.api_key),
        lambda: emulator.add_account("copy", api_key=research.api_key),
    ):
        with pytest.raises(InvalidValueError, match="must differ from the key of the account research"):
            change()
    research.change_settings(api_key="sk-new")
    with pytest.raises(InvalidValueError, match="account research"):
        emulator.change_settings(api_key=f"{emulator.api_key}-research")  # a reset of research brings it back
    assert call(research, "GET", "/billing/usage").status_code == 200


@pytest.mark.parametrize("name", ["", "Research", "a b", "a-b", "1st", "x" * 41, "a\n", None])
def test_odd_name_is_refused(emulator, name):
    with pytest.raises(InvalidValueError, match="name of an account must be lower-case letters"):
        emulator.add_account(name)


def test_wrong_account_changes_nothing(emulator, research):
    for name, settings in (("research", {}), ("default", {}), ("poor", {"credits": -1})):
        with pytest.raises(InvalidValueError):
            emulator.add_account(name, **settings)
    with pytest.raises(UnknownAccountError, match="no account 'poor'; known are default, research"):
        emulator.account("poor")


def test_page_switches_between_accounts(emulator, research):
    call(research, "POST", "/billing/topup", {"amount": 50})
    first = requests.get(f"{emulator.base_url}/", timeout=60).text
    assert re.findall(r'href="/\?account=(\w+)"', first) == ["default", "research"]
    assert "Nothing to pay." in first
    page = requests.get(f"{emulator.base_url}/?account=research", timeout=60).text
    (action,) = re.findall(r'action="(/_emulator/page/pay/[^"]+)"', page)
    after = requests.post(emulator.base_url + action, headers={"Origin": emulator.base_url}, timeout=60)
    assert (after.status_code, after.url) == (200, f"{emulator.base_url}/?account=research")
    assert (emulator.balance, research.balance) == (3, 150)
    assert requests.get(f"{emulator.base_url}/?account=nobody", timeout=60).status_code == 404


def test_only_account_needs_no_switch(emulator):
    page = requests.get(f"{emulator.base_url}/", timeout=60).text
    assert "account=" not in page
