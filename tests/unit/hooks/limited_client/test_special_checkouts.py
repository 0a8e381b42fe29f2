"""Limits for links without an id, stored cards and other currencies."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.api import models
from airflow_provider_videodb.api.models import IdSource
from airflow_provider_videodb.exceptions import (
    VideoDBLimitExceededError,
)


@pytest.fixture
def link_alone(monkeypatch):
    """Let the id of a checkout be neither in the response nor in the link."""
    monkeypatch.setattr(models, "_SESSION_ID_IN_URL", models.re.compile("never"))


class TestLinkWithoutId:
    def test_link_without_an_id_is_returned_once_it_is_listed(self, emulator, limited, link_alone):
        checkout = limited(monthly_topup_limit=100).topup(50)
        (made,) = emulator.checkouts()
        assert (checkout.id, checkout.id_source, checkout.url) == (
            made.id,
            IdSource.LIST,
            emulator.payment_url(made.id),
        )

    def test_link_without_an_id_is_told_from_older_and_other_amounts(
        self, emulator, limited, other_client, link_alone, meanwhile
    ):
        other_client.topup(50)
        meanwhile(lambda checkout: other_client.topup(49))
        checkout = limited(monthly_topup_limit=200).topup(50)
        assert checkout.url == emulator.payment_url(checkout.id)

    def test_link_without_an_id_is_withheld_if_it_is_ambiguous(
        self, emulator, limited, other_client, link_alone, meanwhile
    ):
        meanwhile(lambda checkout: other_client.topup(50))
        with pytest.raises(VideoDBLimitExceededError, match="It may be any of these:") as caught:
            limited(monthly_topup_limit=1000).topup(50)
        for made in emulator.checkouts():
            assert made.id in str(caught.value)

    def test_link_without_an_id_is_withheld_if_it_is_not_listed(self, emulator, limited, link_alone):
        emulator.change_settings(list_lag=60)
        with pytest.raises(VideoDBLimitExceededError, match="A new checkout for 50 USD was made"):
            limited(monthly_topup_limit=100).topup(50)


class TestStoredCard:
    @pytest.fixture(autouse=True)
    def charged_at_once(self, emulator):
        emulator.change_settings(charge_stored_card=True)

    def test_stored_card_charged_within_the_limit_is_no_error(self, emulator, limited):
        limited(monthly_topup_limit=100).topup(50)
        assert emulator.balance == 53

    def test_stored_card_charged_beyond_the_limit_is_reported(self, emulator, limited, other_client, meanwhile):
        meanwhile(lambda checkout: other_client.topup(60))
        with pytest.raises(VideoDBLimitExceededError) as caught:
            limited(monthly_topup_limit=100).topup(50)
        own = emulator.checkouts()[1]
        assert str(caught.value).startswith(
            f"50 USD WAS CHARGED to a stored card for checkout {own.id}, although it breaks a limit."
        )
        assert "ask VideoDB's support for a refund. Then remove the stored card" in str(caught.value)


@pytest.mark.parametrize("currency", ["eur", "jpy", ""])
@pytest.mark.parametrize("extra", [{"max_topup_amount": 9999}, {"monthly_topup_limit": 9999}], ids=str)
def test_other_currency_is_not_requested_under_a_limit_in_usd(emulator, limited, currency, extra):
    with pytest.raises(VideoDBLimitExceededError, match="cannot be compared with a limit in USD"):
        limited(**extra).topup(5000, currency=currency)
    assert emulator.calls() == []


@pytest.mark.parametrize(
    "entry",
    [
        {"amount": 20, "currency": "eur", "status": "pending"},
        {"amount": 20, "currency": "JPY", "status": "completed"},
        {"amount": 20, "currency": "eur", "status": "expired"},
    ],
    ids=str,
)
def test_entry_in_another_currency_closes_the_month(emulator, limited, entry):
    emulator.add_foreign_checkout(id="cs_foreign", created_at=emulator.now().isoformat(), **entry)
    with pytest.raises(VideoDBLimitExceededError, match="cs_foreign: 20 ") as caught:
        limited(monthly_topup_limit=1000).topup(50)
    assert "connection videodb_default" in str(caught.value)
    assert emulator.calls("POST") == []


def test_negative_entry_makes_no_room(emulator, limited):
    now = emulator.now().isoformat()
    emulator.add_foreign_checkout(id="cs_f", amount=-500, currency="usd", status="completed", created_at=now)
    with pytest.raises(VideoDBLimitExceededError):
        limited(monthly_topup_limit=49).topup(50)


def test_checkout_called_expired_too_early_still_counts(emulator, limited, other_client):
    payable = other_client.topup(60)
    emulator.show_checkout_as(payable.id, status="expired")
    with pytest.raises(VideoDBLimitExceededError, match="60 USD in 1 checkout count already"):
        limited(monthly_topup_limit=100).topup(50)
    emulator.expire(payable.id)
    assert limited(monthly_topup_limit=100).topup(50).url
