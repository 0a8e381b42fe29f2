"""The pages for a person."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
import requests


@pytest.fixture
def browser(emulator):
    """Request a page without a key, and follow no redirect."""

    def call(method, path):
        return requests.request(method, emulator.base_url + path, timeout=60, allow_redirects=False)

    return call


@pytest.fixture
def order(emulator, api):
    """Order a checkout and return it."""

    def make(path="/billing/topup", **body):
        assert api.post(path, {"amount": 50, **body}).status_code == 200
        return emulator.checkouts()[0]

    return make


def text(page):
    return unescape(re.sub(r"(?s)<style>.*</style>|<[^>]+>", " ", page.text))


def test_pending_checkout_has_its_details_and_two_buttons(browser, order):
    checkout = order()
    page = browser("GET", f"/pay/{checkout.id}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for words in ("Credit top-up", "$50.00", "pending", "50 credits", checkout.id, "Pay $50.00", "Cancel"):
        assert words in text(page)
    assert f'method="post" action="/pay/{checkout.id}"' in page.text
    assert f'method="post" action="/pay/{checkout.id}/cancel"' in page.text


def test_payment_redirects_to_the_success_url(emulator, browser, order):
    checkout = order(redirect_url="https://example.com/done?a=1&b=2")
    for _ in range(3):
        paid = browser("POST", f"/pay/{checkout.id}")
        assert (paid.status_code, paid.headers["location"]) == (303, "https://example.com/done?a=1&b=2")
    assert emulator.balance == 53


def test_payment_without_a_redirect_shows_a_paid_page(emulator, browser, order):
    checkout = order()
    location = browser("POST", f"/pay/{checkout.id}").headers["location"]
    page = browser("GET", location)
    assert location == f"/pay/{checkout.id}"
    assert "paid" in text(page)
    assert "<form" not in page.text
    assert emulator.balance == 53


def test_cancelled_checkout_stays_payable(emulator, browser, order):
    checkout = order()
    location = browser("POST", f"/pay/{checkout.id}/cancel").headers["location"]
    page = browser("GET", location)
    assert "stays payable until" in text(page)
    assert f'href="/pay/{checkout.id}"' in page.text
    assert emulator.checkout(checkout.id).status == "pending"
    browser("POST", f"/pay/{checkout.id}")
    assert "paid" in text(browser("GET", location))


def test_cancel_redirects_to_the_cancel_url(browser, order):
    checkout = order("/billing/checkout", cancel_url="https://example.com/no", success_url="https://example.com/yes")
    assert browser("POST", f"/pay/{checkout.id}/cancel").headers["location"] == "https://example.com/no"
    assert browser("POST", f"/pay/{checkout.id}").headers["location"] == "https://example.com/yes"


def test_expired_checkout_cannot_be_paid(emulator, browser, order):
    checkout = order(redirect_url="https://example.com/done")
    emulator.expire(checkout.id)
    for method in ("GET", "POST"):
        page = browser(method, f"/pay/{checkout.id}")
        assert page.status_code == 410
        assert "expired" in text(page)
        assert "<form" not in page.text
    assert emulator.balance == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/pay/cs_test_nobody"),
        ("POST", "/pay/cs_test_nobody"),
        ("POST", "/pay/cs_test_nobody/cancel"),
        ("GET", "/pay/cs_test_nobody/cancelled"),
        ("GET", "/invoices/in_test_nobody"),
    ],
)
def test_unknown_link_is_a_404_page(browser, method, path):
    page = browser(method, path)
    assert page.status_code == 404
    assert "Nothing here" in text(page)


def test_text_of_callers_is_escaped_on_every_page(emulator, browser, order, api):
    evil = '"><script>alert(1)</script>'
    checkout = order()
    # Nothing in a request lets such a text through, but a later change may.
    named = replace(checkout, order=replace(checkout.order, plan_id=evil, mode="subscription"))
    emulator.state.ledger._checkouts[checkout.id] = named
    api.get(f"/{evil}")
    emulator.add_fault("status", method='<img src=x onerror="1">')
    for path in (f"/pay/{checkout.id}", "/", '/pay/"><script>', f"/pay/{checkout.id}/cancelled"):
        page = browser("GET", path)
        assert "<script>" not in page.text
        assert "onerror" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
    assert evil in text(browser("GET", f"/pay/{checkout.id}"))


def test_overview_shows_balance_checkouts_and_calls(emulator, browser, order):
    pending, paid = order(amount=7), order(amount=5)
    emulator.pay(paid.id)
    emulator.set_auto_recharge(enabled=True, threshold=2, amount=30)
    page = browser("GET", "/")
    for words in ("8 credits left", "$7.00", "/billing/topup", "$5.00", "adds 30 credits when fewer than 2"):
        assert words in " ".join(text(page).split())
    assert f'href="/pay/{pending.id}"' in page.text
    assert f'href="/pay/{paid.id}"' not in page.text
    assert emulator.api_key not in page.text
    assert [call.path for call in emulator.calls()] == ["/billing/topup"] * 2, "the log leaves pages out"


def test_overview_of_a_new_account_is_empty(browser):
    page = text(browser("GET", "/"))
    assert "Nothing to pay." in page
    assert "No API call yet." in page


def test_overview_shows_a_dropped_call(emulator, browser, api):
    emulator.add_fault("drop_after")
    with pytest.raises(requests.ConnectionError):
        api.get("/billing/usage")
    page = browser("GET", "/").text
    assert '<span class="badge bad">drop_after</span>' in page
    assert '<span class="badge bad">none</span>' in page


def test_invoice_link_leads_to_a_page(emulator, browser, api, order):
    emulator.pay(order().id)
    (invoice,) = api.get("/billing/invoices").json()["data"]
    page = browser("GET", invoice["pdf_url"].removeprefix(emulator.base_url))
    assert page.status_code == 200
    assert "$50.00" in text(page)


def test_other_currency_is_shown(browser, order):
    assert "50.00 EUR" in text(browser("GET", f"/pay/{order(currency='eur').id}"))
