"""What a try remembers between pokes, as plain data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_provider_videodb.hooks.connection import ConnectionSettings
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.sensors._pokes import Pokes

DAY = 24 * 3600.0
SETTINGS = ConnectionSettings(
    api_key="sk-test-one", base_url="http://127.0.0.1:9", timeout=30, max_retries=0, limits=SpendLimits()
)
ONCE_FAILED = replace(Pokes(try_number=1).of(SETTINGS), failures=1)
PAUSED = ONCE_FAILED.asked_to_wait(60, now=1000)


@pytest.mark.parametrize("pokes", [Pokes(try_number=1), ONCE_FAILED, PAUSED])
def test_pokes_survive_the_store(pokes):
    stored = json.loads(json.dumps(pokes.to_dict()))

    assert stored["format"] == 1
    assert Pokes.from_dict(stored | {"from_the_future": 1}, try_number=1) == pokes
    assert "sk-test" not in json.dumps(stored)


@pytest.mark.parametrize("stored", [None, 5, {}, PAUSED.to_dict() | {"try_number": 2}])
def test_pokes_of_another_try_do_not_count(stored):
    assert Pokes.from_dict(stored, try_number=1) == Pokes(try_number=1)


@pytest.mark.parametrize("changed", [{"failures": None}, {"failures": "x"}, {"pause": {}}, {"pause": {"until": None}}])
def test_unreadable_pokes_do_not_count(changed):
    assert Pokes.from_dict(PAUSED.to_dict() | changed, try_number=1) == Pokes(try_number=1)


@pytest.mark.parametrize("failures", [{}, {"failures": 2}])
def test_pokes_of_an_older_format_count(failures):
    assert Pokes.from_dict({"try_number": 1} | failures, try_number=1) == Pokes(try_number=1, **failures)


def test_another_account_begins_without_failures_and_pause():
    assert PAUSED.of(SETTINGS) == PAUSED

    other = PAUSED.of(replace(SETTINGS, api_key="sk-test-two"))
    assert (other.failures, other.pause) == (0, None)


@pytest.mark.parametrize(
    ("now", "until"), [(1000, 1060), (1059, 1060), (1060, None), (1000 + DAY, None), (1000 - DAY, 1060 - DAY)]
)
def test_pause_follows_the_clock(now, until):
    pause = PAUSED.by_the_clock(now).pause

    assert (pause and pause.until) == until
