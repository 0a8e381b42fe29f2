"""A hold released by hand, in a real database."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.cli.releases import release_by_hand
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.journal import read_notes
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import LONGEST_SETTLEMENT_MS, Kind
from airflow_provider_videodb.overview.database import DatabaseStore
from tests.support.hold_flags import flags_in_database, raise_flag

NOW = 1_795_564_800_000
MINUTE = 60_000


@pytest.fixture
def release(airflow_db):
    def run(flag, *, run_state="failed"):
        ledger = Ledger(None, store=DatabaseStore(), now=lambda: NOW / 1000)
        return release_by_hand(
            ledger,
            flag.holder,
            by="ada",
            reason="stuck",
            read_run_states=lambda runs: {} if run_state is None else dict.fromkeys(runs, run_state),
        )

    return run


def flags():
    return [(flag.holder, flag.kind, str(flag.credits), flag.ms) for flag in flags_in_database()]


def notes():
    return [note.fields for note in read_notes(DatabaseStore(), None, since_ms=0)]


def test_released_credits_count_until_they_settle(release):
    held = raise_flag(Kind.HELD, "50", ms=NOW - 90 * MINUTE, settlement_ms=30 * MINUTE)
    lines = release(held)
    assert flags() == [(held.holder, Kind.RELEASED, "50", NOW + 30 * MINUTE)]
    assert lines == [
        (
            "Released 50 credits of account videodb_default, held for 1 h 30 min by DAG nightly, run manual__1, task "
            "credits (try 1)."
        ),
        (
            "They still count until 2026-11-25 00:30:00 UTC, because VideoDB's balance shows spending late. Then other "
            "gates can use what is left of them."
        ),
    ]


def test_journal_says_who_released_and_why(release):
    release(raise_flag(Kind.HELD, "50", ms=NOW - MINUTE))
    (note,) = notes()
    assert note["released_by"] == "released by hand by ada: stuck"
    assert note["credits"] == 50
    assert note["spent"] is None
    assert note["dag_id"] == "nightly"


def test_neighbour_in_the_map_keeps_its_hold(release):
    """The holder of index 1 begins as that of index 10."""
    tenth = raise_flag(Kind.HELD, "5", map_index=10, ms=NOW)
    release(raise_flag(Kind.HELD, "5", map_index=1, ms=NOW))
    assert [flag.holder for flag in flags_in_database() if flag.kind is Kind.HELD] == [tenth.holder]


def test_later_try_keeps_its_place_in_the_queue(release):
    held = raise_flag(Kind.HELD, "5", ms=NOW)
    waiting = raise_flag(Kind.WAITING, "5", ms=NOW, try_id="ba9876543210")
    release(held)
    assert waiting in flags_in_database()


def test_all_tries_of_a_gate_are_released(release):
    raise_flag(Kind.HELD, "5", ms=NOW, settlement_ms=MINUTE)
    lines = release(raise_flag(Kind.HELD, "7", ms=NOW, try_id="ba9876543210", settlement_ms=2 * MINUTE))
    assert {(kind, credits, ms) for _, kind, credits, ms in flags()} == {
        (Kind.RELEASED, "5", NOW + MINUTE),
        (Kind.RELEASED, "7", NOW + 2 * MINUTE),
    }
    assert sum(line.startswith("Released ") for line in lines) == 2


def test_hold_in_two_accounts_is_released_in_both(release):
    raise_flag(Kind.HELD, "5", ms=NOW)
    lines = release(raise_flag(Kind.HELD, "7", ms=NOW, account="other"))
    assert {(flag.account, flag.kind) for flag in flags_in_database()} == {
        ("videodb_default", Kind.RELEASED),
        ("other", Kind.RELEASED),
    }
    assert "of account other" in lines[0]
    assert "of account videodb_default" in lines[2]


def test_interrupted_release_is_finished_without_a_second_note(release):
    held = raise_flag(Kind.HELD, "5", ms=NOW - MINUTE)
    raise_flag(Kind.RELEASED, "5", ms=NOW + 3 * MINUTE)
    lines = release(held)
    assert flags() == [(held.holder, Kind.RELEASED, "5", NOW + 3 * MINUTE)]
    assert "until 2026-11-25 00:03:00 UTC" in lines[1]
    assert notes() == []


@pytest.mark.parametrize(("state", "is_told"), [("running", True), ("queued", True), ("failed", False), (None, False)])
def test_running_job_is_told(release, state, is_told):
    lines = release(raise_flag(Kind.HELD, "5", ms=NOW), run_state=state)
    assert any(f"The DAG run is still {state}. No hold covers" in line for line in lines) is is_told


def test_hold_without_a_name_settles_as_late_as_any(release):
    held = raise_flag(Kind.HELD, "5", ms=NOW)
    DatabaseStore().write(held.key, "{}")
    lines = release(held)
    assert flags() == [(held.holder, Kind.RELEASED, "5", NOW + LONGEST_SETTLEMENT_MS)]
    assert f"by hold {held.holder}." in lines[0]


def test_second_release_changes_nothing(release):
    held = raise_flag(Kind.HELD, "5", ms=NOW)
    release(held)
    before = flags_in_database()
    (line,) = release(held)
    assert "has released its hold already. 5 credits still count until 2026-11-25 00:20:00 UTC" in line
    assert flags_in_database() == before
    assert len(notes()) == 1


def test_waiting_gate_is_not_taken_out_of_the_queue(release):
    waiting = raise_flag(Kind.WAITING, "5", ms=NOW)
    with pytest.raises(VideoDBConfigError, match=r"waits for 5 credits and holds none\. .* mark the task as failed"):
        release(waiting)
    assert flags_in_database() == [waiting]


def test_mapped_task_without_its_index_is_asked_for_it(release):
    for map_index in (10, 2):
        one = raise_flag(Kind.HELD, "5", ms=NOW, map_index=map_index)
    forgotten = type("Flag", (), {"holder": one.holder.rpartition(".")[0] + ".-1"})
    with pytest.raises(VideoDBConfigError, match=r"holds as map index 2, 10\. Nothing was released\. .*--map-index"):
        release(forgotten)


def test_index_that_holds_nothing_releases_no_other(release):
    tenth = raise_flag(Kind.HELD, "5", ms=NOW, map_index=10)
    first = raise_flag(Kind.HELD, "5", ms=NOW, map_index=1)
    DatabaseStore().delete(first.key)
    with pytest.raises(VideoDBConfigError, match="holds as map index 10"):
        release(first)
    assert flags_in_database() == [tenth]


def test_unknown_hold_is_an_error_with_a_next_step(release):
    held = raise_flag(Kind.HELD, "5", ms=NOW)
    DatabaseStore().delete(held.key)
    with pytest.raises(VideoDBConfigError, match=r"^There is no hold \w.*released\. Next step: .*holds list"):
        release(held)
