"""The pause that VideoDB asks for, on its way between processes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from airflow_provider_videodb.hooks.connection import ConnectionSettings
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.triggers._pauses import Pause, mark_of

DAY = 24 * 3600.0
SETTINGS = ConnectionSettings(
    api_key="sk-test-one", base_url="http://127.0.0.1:9", timeout=30, max_retries=0, limits=SpendLimits()
)


@pytest.mark.parametrize(
    ("now", "left"), [(1000, 60), (1030, 30), (1060, 0), (1000 + DAY, 0), (1000 - DAY, 60), (math.nan, 0)]
)
def test_pause_is_never_longer_than_asked_for(now, left):
    assert Pause(until=1060, asked=60, account="a").left(now) == left


def test_pause_survives_its_json_form():
    pause = Pause(until=1060, asked=60, account="a")

    assert Pause.from_dict(pause.to_dict() | {"from_the_future": 1}) == pause


@pytest.mark.parametrize("stored", [5, "\ud800", {"until": 1}, {"until": "soon", "asked": 1, "account": "a"}])
def test_pause_that_cannot_be_read_is_an_error(stored):
    with pytest.raises((TypeError, ValueError, KeyError)):
        Pause.from_dict(stored)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"timeout": 7}, True),
        ({"api_key": "sk-test-two"}, False),
        ({"base_url": "http://127.0.0.1:10"}, False),
    ],
)
def test_mark_tells_two_accounts_apart(changed, same):
    mark = mark_of(SETTINGS)

    assert (mark_of(replace(SETTINGS, **changed), like=mark) == mark) is same


def test_mark_reveals_no_account_by_being_compared():
    assert mark_of(SETTINGS) != mark_of(SETTINGS)
