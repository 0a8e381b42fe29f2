"""A note keeps settings exactly, in one Variable per task instance."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import combinations

import pytest

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBRecordUnreadableError
from airflow_provider_videodb.operators._recharge_note import (
    RechargeNote,
    describe_settings,
    load_note,
    note_key,
    save_note,
)

OFF = AutoRecharge(enabled=False, threshold=None, amount=None)
ON = AutoRecharge(enabled=True, threshold=Decimal("20.000000000000000001"), amount=Decimal(100))
NOTE = RechargeNote(videodb_conn_id="videodb_default", before=OFF, after=ON)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Replace Airflow's Variables. Reading and writing them has its own tests."""
    kept: dict[str, str] = {}
    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.read_variable", kept.get)
    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.write_variable", kept.__setitem__)
    return kept


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("note", [NOTE, RechargeNote(videodb_conn_id="other", before=ON, after=OFF)], ids=str)
def test_note_is_read_as_it_was_written(note: RechargeNote) -> None:
    assert load_note("key") is None
    save_note("key", note)
    assert load_note("key") == note


def test_note_with_a_field_of_a_newer_version_is_read(variables: dict[str, str]) -> None:
    save_note("key", NOTE)
    variables["key"] = variables["key"].replace('{"format"', '{"added": 1, "format"', 1)
    assert load_note("key") == NOTE


@pytest.mark.parametrize(
    "text",
    ["", "on", "[]", "{}", "null", '{"videodb_conn_id": "x", "before": {"enabled": 1}, "after": {"enabled": false}}'],
)
def test_overwritten_note_is_an_error_with_next_step(variables: dict[str, str], text: str) -> None:
    variables["key"] = text
    with pytest.raises(VideoDBConfigError, match=r"'key'.*may still be on.*Next step: .*delete the Variable"):
        load_note("key")


def test_unreadable_note_is_not_taken_for_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(key: str) -> None:
        raise VideoDBRecordUnreadableError(key)

    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.read_variable", refuses)
    with pytest.raises(VideoDBRecordUnreadableError):
        load_note("key")


LONG = "x" * 250
IDENTITIES = [
    ("dag", "run", "task", -1),
    ("dag", "run", "task", 0),
    ("dag", "run", "task__0", -1),
    ("dag__run", "task", "t", -1),
    ("dag", "run__task", "t", -1),
    ("dag", "manual__2026-01-01T00:00:00+00:00", "group.task", -1),
    ("dag", "manual__2026-01-01T00_00_00_00_00", "group_task", -1),
    ("dag", "ein/Lauf?%2F#ü", "task", -1),
    (LONG, LONG, LONG, 7),
    (LONG, LONG, LONG + "y", 7),
]


@pytest.mark.parametrize("identity", IDENTITIES, ids=ascii)
def test_key_fits_into_a_variable_and_a_url(identity: tuple[str, str, str, int]) -> None:
    key = note_key(*identity)
    assert re.fullmatch(r"videodb_auto_recharge__[A-Za-z0-9_.:+~-]+", key)
    assert len(key) <= 250


@pytest.mark.parametrize(("one", "other"), combinations(IDENTITIES, 2), ids=ascii)
def test_two_task_instances_have_two_keys(one: tuple[str, str, str, int], other: tuple[str, str, str, int]) -> None:
    assert note_key(*one) != note_key(*other)


def test_task_without_a_map_index_has_one_key() -> None:
    assert note_key("dag", "run", "task", None) == note_key("dag", "run", "task", -1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (OFF, "off"),
        (
            AutoRecharge(enabled=True, threshold=Decimal(20), amount=Decimal(100)),
            "on (threshold 20, amount 100 credits)",
        ),
        (AutoRecharge(enabled=False, threshold=Decimal(5), amount=Decimal(25)), "off (threshold 5, amount 25 credits)"),
    ],
)
def test_settings_are_described_in_words(settings: AutoRecharge, words: str) -> None:
    assert describe_settings(settings) == words
