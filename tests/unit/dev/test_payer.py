from __future__ import annotations

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from dev.demo.payer import PaymentPageError, pay


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def link(emulator):
    return BillingClient(emulator.api_key, base_url=emulator.base_url).topup(20).url


def test_payer_presses_the_pay_button(emulator, link):
    assert pay(link) == "Pay $20.00"
    assert [checkout.status for checkout in emulator.checkouts()] == ["completed"]


def test_payer_finds_no_button_after_payment(link):
    pay(link)

    with pytest.raises(PaymentPageError, match="Nothing was paid"):
        pay(link)
