"""Tables, ages and moments."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_videodb.overview.text import (
    printable,
    to_age,
    to_blocks,
    to_iso,
    to_iso_moment,
    to_minute,
    to_table,
)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 s"),
        (999, "0 s"),
        (59_000, "59 s"),
        (135_000, "2 min 15 s"),
        (3_600_000, "1 h"),
        (3_601_000, "1 h"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_age_has_its_two_largest_units(ms, text):
    assert to_age(ms) == text


def test_moment_is_iso_8601_in_utc():
    assert to_iso(1_795_564_800_999) == "2026-11-25T00:00:00Z"


def test_moment_of_another_zone_is_written_in_utc():
    moment = datetime(2026, 11, 26, 1, 30, 59, tzinfo=timezone(timedelta(hours=2)))
    assert (to_iso_moment(moment), to_minute(moment)) == ("2026-11-25T23:30:59Z", "2026-11-25 23:30 UTC")
    assert (to_iso_moment(None), to_minute(None)) == (None, None)


def test_link_stands_alone_in_its_line_below_its_row():
    rows = [(["cs_1", 50], ["https://pay.example/cs_1", "a\x1bnote"]), (["cs_22", 5], [])]
    assert to_blocks(("ID", "USD"), rows) == [
        "ID     USD",
        "cs_1   50",
        "https://pay.example/cs_1",
        "  a?note",
        "cs_22  5",
    ]


def test_table_is_aligned_and_leaves_out_empty_columns():
    assert to_table(("A", "B", "C"), [["long", None, 1], ["x", None, None]]) == ["A     C", "long  1", "x"]


def test_text_cannot_steer_the_terminal():
    assert printable("a\x1b[2Jb\nc Zoë") == "a?[2Jb?c Zoë"
    assert to_table(("A",), [["\x1b[2J"]]) == ["A", "?[2J"]
