"""Which values may leave a trigger; test_events.py has those that may not."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.triggers._encoding import MAX_MESSAGE, clean, describe, plain


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, 2**63, -(2**63), "", "ünïcödé 😀", "\\u0000", "\\x00", [1, ["a"]], {"a": {"b": None}}],
)
def test_json_value_arrives_unchanged(value):
    assert plain({"a": value}) == {"a": value}


def test_copy_is_made_of_plain_types():
    class Text(str):
        __slots__ = ()

    copy = plain({"text": Text("a"), "pair": (1, 2)})

    assert copy == {"text": "a", "pair": [1, 2]}
    assert {type(value) for value in copy.values()} == {str, list}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (VideoDBError("in these words"), "in these words"),
        (ValueError("in these words"), "ValueError: in these words"),
        (SystemExit(), "SystemExit: "),
    ],
)
def test_text_of_an_error_is_kept(error, text):
    assert describe(error) == text


def test_character_that_cannot_be_encoded_is_replaced():
    assert clean("\ud800 and \x00") == "\ufffd and \ufffd"


def test_long_text_is_cut_and_says_so():
    assert clean("x" * 5000) == f"{'x' * MAX_MESSAGE} (cut: 5000 characters)"
