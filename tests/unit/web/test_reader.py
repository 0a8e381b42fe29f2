"""How the page reads VideoDB: rarely, once at a time, and without holding a thread of the UI."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from airflow_provider_videodb.exceptions import VideoDBAuthenticationError
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.web import reader as module
from airflow_provider_videodb.web.reader import LONGEST_TIMEOUT, Reader


@pytest.fixture
def settings(emulator):
    return VideoDBBillingHook().settings


def test_each_part_is_read_once_within_its_age(emulator, settings):
    reader = Reader()
    for _ in range(5):
        parts = reader.read("a", settings, wait=5)
    assert {name: part.error for name, part in parts.items()} == dict.fromkeys(
        ("usage", "checkouts", "invoices", "auto_recharge")
    )
    assert parts["usage"].value.credit_balance == 3
    assert len(emulator.calls("GET", "/billing/usage")) == 1


def test_many_readers_share_one_read(emulator, settings):
    reader = Reader()
    threads = [threading.Thread(target=reader.read, args=("a", settings), kwargs={"wait": 5}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(emulator.calls("GET", "/billing/usage")) == 1


def test_old_value_stays_when_a_later_read_fails(emulator, settings):
    reader = Reader(max_age=0)
    first = reader.read("a", settings, wait=5)["usage"]
    with emulator.offline():
        second = reader.read("a", settings, wait=5)["usage"]
    assert second.value == first.value
    assert second.read_at == first.read_at
    assert second.error is not None
    assert second.is_reading is False


def test_frozen_videodb_holds_nobody(settings, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(module, "READS", {"usage": lambda _: released.wait(30)})
    reader = Reader()
    began = time.monotonic()
    assert reader.read("a", settings, wait=0.05)["usage"].is_reading
    assert reader.read("a", settings, wait=0.05)["usage"].is_reading
    assert time.monotonic() - began < 10
    released.set()
    assert reader.read("a", settings, wait=10)["usage"].value is True


def test_timeout_of_a_connection_is_shortened(settings):
    reader = Reader()
    reader.read("a", replace(settings, timeout=3600), wait=5)
    (_, readings) = reader._accounts["a"]
    assert {reading.client._transport.timeout for reading in readings.values()} == {LONGEST_TIMEOUT}


def test_changed_connection_shows_nothing_of_the_old_account(settings):
    reader = Reader()
    assert reader.read("a", settings, wait=5)["usage"].value is not None
    changed = reader.read("a", replace(settings, api_key="sk-another"), wait=5)["usage"]
    assert changed.value is None
    assert isinstance(changed.error, VideoDBAuthenticationError)


def test_pause_that_videodb_asked_for_is_kept(settings, monkeypatch):
    calls = []

    def limited(_):
        calls.append(1)
        error = VideoDBAuthenticationError("slow down", retry_after=3600)
        raise error

    monkeypatch.setattr(module, "READS", {"usage": limited})
    reader = Reader(max_age=0)
    for _ in range(3):
        reader.read("a", settings, wait=5)
    assert calls == [1]


def test_fault_of_ours_is_logged_and_shown(settings, monkeypatch, caplog):
    monkeypatch.setattr(module, "READS", {"usage": lambda _: 1 / 0})
    part = Reader().read("a", settings, wait=5)["usage"]
    assert isinstance(part.error, ZeroDivisionError)
    assert "could not read usage" in caplog.text
