"""What a person types is read, or refused with an example."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError

import pytest

from airflow_provider_videodb.cli.arguments import parse_account, parse_duration, parse_reason, parse_since
from airflow_provider_videodb.holds.rules.records import account_part

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [("90s", 90_000), ("45m", 45 * 60_000), ("1h", HOUR), (" 1H30M ", HOUR * 3 // 2), ("2d", 48 * HOUR)],
)
def test_duration_is_read(text, ms):
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "0h", "1", "h", "-1h", "1.5h", "1 hour", "1w", "367d", "٣h"])
def test_other_duration_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="write it as 45m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-25", 1_795_564_800_000),
        ("2026-11-25T18:00", 1_795_564_800_000 + 18 * HOUR),
        ("2026-11-25T18:00+02:00", 1_795_564_800_000 + 16 * HOUR),
        ("2026-11-25T18:00Z", 1_795_564_800_000 + 18 * HOUR),
    ],
)
def test_date_is_in_utc_unless_it_says_so(text, ms):
    assert parse_since(text) == ms


def test_age_counts_back_from_now():
    before = int(time.time() * 1000)
    assert before - 48 * HOUR <= parse_since("2d") <= int(time.time() * 1000) - 48 * HOUR


def test_unreadable_moment_is_refused_with_examples():
    with pytest.raises(ArgumentTypeError, match="12h or 2d nor a date such as 2026-11-25"):
        parse_since("yesterday")


def test_account_is_accepted_by_its_name_and_as_the_list_shows_it():
    odd = "the account of Zoë"
    assert parse_account("videodb_default") == "videodb_default"
    assert parse_account(odd) == account_part(odd)
    assert parse_account(account_part(odd)) == account_part(odd)
    with pytest.raises(ArgumentTypeError, match="empty"):
        parse_account(" ")


def test_reason_is_one_line_and_not_empty():
    assert parse_reason(" stuck\n since  noon ") == "stuck since noon"
    with pytest.raises(ArgumentTypeError, match="say in a few words why"):
        parse_reason(" \n")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00+23:59"])
def test_moment_that_utc_cannot_write_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="outside of the years 1 to 9999"):
        parse_since(text)
