"""Tables, ages and moments."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.overview.text import printable, to_age, to_iso, to_table


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


def test_table_is_aligned_and_leaves_out_empty_columns():
    assert to_table(("A", "B", "C"), [["long", None, 1], ["x", None, None]]) == ["A     C", "long  1", "x"]


def test_text_cannot_steer_the_terminal():
    assert printable("a\x1b[2Jb\nc Zoë") == "a?[2Jb?c Zoë"
    assert to_table(("A",), [["\x1b[2J"]]) == ["A", "?[2J"]
