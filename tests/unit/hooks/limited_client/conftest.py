"""A hook with limits, another client of the account, and what happens in the middle of a purchase."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Leave of the wait what the list's dates take: they tell whole seconds apart."""
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_LAG", timedelta(seconds=0.2))
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_POLL_INTERVAL", timedelta(seconds=0.05))
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.MAX_LIST_LAG", timedelta(seconds=2))


@pytest.fixture
def limited(emulator, monkeypatch):
    """Return what makes a hook on the emulator with limits."""

    def hook(**extra):
        connection = emulator.connection | {"extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))
        return VideoDBBillingHook()

    return hook


@pytest.fixture
def other_client(emulator):
    return BillingClient(emulator.api_key, base_url=emulator.base_url)


@pytest.fixture
def meanwhile(monkeypatch):
    """Return what does something right after the response to the next POST."""

    def after_post(happening):
        ask = BillingClient._ask_for_checkout

        def asks(self, *arguments):
            checkout = ask(self, *arguments)
            monkeypatch.setattr(BillingClient, "_ask_for_checkout", ask)
            happening(checkout)
            return checkout

        monkeypatch.setattr(BillingClient, "_ask_for_checkout", asks)

    return after_post
