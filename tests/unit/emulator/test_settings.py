"""The checks of the settings."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("credits", "NaN"),
        ("credits", "lots"),
        ("credits", -1),
        ("credits", True),
        ("credits", 10**12),
        ("credits_per_dollar", 0),
        ("checkout_ttl", 0),
        ("pay_after", "-1"),
        ("dialect", "french"),
        ("idempotency", True),
        ("api_key", ""),
        ("api_key", "sk-\n"),
        ("stored_card", 1),
        ("colour", "red"),
    ],
)
def test_wrong_setting_is_named(name, value):
    with pytest.raises(InvalidValueError, match=name):
        Settings.create({name: value})


@pytest.mark.parametrize("name", ["pay_after", "index_duration", "response_ttl"])
def test_command_line_says_never_for_none(name):
    assert getattr(Settings.create({name: "never"}), name) is None
