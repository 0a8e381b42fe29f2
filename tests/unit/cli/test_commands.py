"""The commands, from what a person types to what they read."""

from __future__ import annotations

import getpass
import json

import pytest
from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import sessionmaker

from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.compat import needs_listed_variables
from tests.support.hold_flags import flags_in_database, raise_flag

MINUTE = 60_000


def kinds():
    return {flag.account: flag.kind for flag in flags_in_database()}


@needs_listed_variables
def test_empty_account_is_told_in_one_line(holds):
    assert holds("list") == (0, "Nobody holds or waits for credits, and nothing is paused.\n", "")
    assert "of account prod" in holds("list", "--account", "prod").out
    assert json.loads(holds("list", "-o", "json").out)["accounts"] == []


def test_old_airflow_is_told_why_there_is_nothing(holds, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.cli.commands.VARIABLES_CAN_BE_LISTED", False)
    assert "Credit holds need Airflow 3.3" in holds("list").out
    paused = holds("pause", "--reason", "x")
    assert paused.status == 1
    assert "Nothing was paused. Next step:" in " ".join(paused.err.split())
    assert flags_in_database() == []


def test_list_shows_one_account_or_all(holds):
    raise_flag(Kind.HELD, "50", ago=90 * MINUTE)
    raise_flag(Kind.WAITING, "20", account="team_b")
    assert "Account team_b" in holds("list").out
    only = holds("list", "--account", "videodb_default").out
    assert "Account team_b" not in only
    assert "1 h 30 min" in only


def test_misspelt_account_is_told_which_there_are(holds):
    raise_flag(Kind.HELD, "50", account="production")
    shown = holds("list", "--account", "porduction").out
    assert "Nobody holds or waits for credits of account porduction" in shown
    assert "Known accounts: production." in shown


def test_json_of_the_list_is_all_of_the_output(holds):
    raise_flag(Kind.HELD, "50")
    ran = holds("list", "-o", "json")
    (account,) = json.loads(ran.out)["accounts"]
    assert account["held_credits"] == 50
    assert account["holds"][0]["run_state"] == "deleted"
    assert ran.err == ""


def test_listing_costs_two_statements(holds, monkeypatch):
    from airflow import settings

    for number in range(20):
        raise_flag(Kind.HELD, "5", run_id=f"manual__{number}")
    seen = []
    note = lambda *given: seen.append(given[2])  # noqa: E731
    event.listen(settings.engine, "before_cursor_execute", note)
    holds("list")
    event.remove(settings.engine, "before_cursor_execute", note)
    assert len(seen) == 2


def test_settled_release_is_not_listed(holds):
    raise_flag(Kind.RELEASED, "50", ago=MINUTE)
    assert "Nobody holds" in holds("list").out


def test_hold_is_released_by_the_id_of_the_list(holds):
    raise_flag(Kind.HELD, "50")
    (account,) = json.loads(holds("list", "-o", "json").out)["accounts"]
    ran = holds("release", account["holds"][0]["id"], "--reason", "stuck\nsince noon")
    assert ran.status == 0
    assert ran.out.startswith("Released 50 credits")
    (note,) = json.loads(holds("journal", "-o", "json").out)["holds"]
    assert note["how_it_ended"] == f"released by hand by {getpass.getuser()}: stuck since noon"


def test_hold_is_released_by_the_names_of_its_task(holds):
    raise_flag(Kind.HELD, "50", map_index=2)
    names = ["--dag-id", "nightly", "--run-id", "manual__1", "--task-id", "credits"]
    assert holds("release", *names, "--reason", "x").status == 1
    assert holds("release", *names, "--map-index", "2", "--reason", "x").status == 0
    assert kinds() == {"videodb_default": Kind.RELEASED}


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["release", "0" * 16], 2, "--reason"),
        (["release", "0" * 16, "--reason", " "], 2, "say in a few words why"),
        (["release", "--reason", "x"], 2, "name the hold"),
        (["release", "0" * 16, "--reason", "x"], 1, f"There is no hold {'0' * 16}, or"),
        (["pause"], 2, "--reason"),
        (["pause", "--for", "soon", "--reason", "x"], 2, "write it as 45m"),
        (["journal", "--since", "yesterday"], 2, "neither an age"),
        (["list", "-o", "xml"], 2, "xml"),
        ([], 2, "COMMAND"),
    ],
)
def test_mistake_is_told_on_stderr(holds, arguments, status, text):
    ran = holds(*arguments)
    assert ran.status == status
    assert text in ran.err
    assert ran.out == ""
    assert flags_in_database() == []


@needs_listed_variables
def test_pause_and_resume_of_the_only_account(holds):
    raise_flag(Kind.HELD, "5")
    paused = holds("pause", "--for", "1h", "--reason", "the invoice")
    assert paused.status == 0
    assert "Account videodb_default is paused until 2" in paused.out
    assert "Warning" not in paused.out
    assert "the invoice" in holds("list").out
    resumed = holds("resume")
    assert "Account videodb_default is resumed. It was paused until 2" in resumed.out
    assert kinds() == {"videodb_default": Kind.HELD}


@needs_listed_variables
def test_second_pause_says_what_it_replaces(holds):
    holds("pause", "--for", "1h", "--reason", "one")
    again = holds("pause", "--reason", "two")
    assert "is paused until somebody resumes it" in again.out
    assert "This replaces the earlier pause. It was paused until 2" in again.out
    assert "one" in again.out
    assert len(flags_in_database()) == 1


@needs_listed_variables
def test_name_that_no_gate_has_used_is_warned_of(holds):
    """A pause of a misspelt account stops nothing."""
    raise_flag(Kind.HELD, "5", account="prod")
    raise_flag(Kind.HELD, "5", account="test")
    for _ in range(2):
        warned = holds("pause", "--account", "porduction", "--reason", "x").out
        assert (
            "Warning: no gate has used the account name porduction yet. Accounts with holds are: prod, test." in warned
        )


def test_name_in_the_journal_is_known(holds):
    held = raise_flag(Kind.HELD, "5", settlement_ms=0)
    holds("release", held.holder.removesuffix(".-1"), "--reason", "x")
    assert "Warning" not in holds("pause", "--reason", "x").out


@needs_listed_variables
def test_account_of_several_has_to_be_named(holds):
    raise_flag(Kind.HELD, "5", account="prod")
    raise_flag(Kind.HELD, "5", account="test")
    ran = holds("pause", "--reason", "x")
    assert ran.status == 1
    assert "2 accounts: prod, test" in ran.err


def test_resume_of_a_running_account_changes_nothing(holds):
    ran = holds("resume", "--account", "prod")
    assert ran == (0, "Account prod was not paused. Nothing was changed.\n", "")


def test_journal_shows_what_ended_since_then(holds):
    held = raise_flag(Kind.HELD, "50")
    assert "No hold has ended since" in holds("journal").out
    holds("release", held.holder.removesuffix(".-1"), "--reason", "x")
    assert "1 hold of 50 credits; nobody said what was spent." in holds("journal").out
    assert "1 hold of 50" in holds("journal", "--since", "1h", "--account", "videodb_default").out
    assert "No hold of account prod has ended" in holds("journal", "--account", "prod").out
    assert "No hold has ended since 2099" in holds("journal", "--since", "2099-01-01").out


def test_changes_are_in_airflows_audit_log(holds):
    with create_session() as session:
        for row in session.scalars(select(Log)):
            session.delete(row)
    raise_flag(Kind.HELD, "5")
    holds("list")
    holds("journal")
    holds("pause", "--reason", "x")
    holds("resume")
    holds("release", "--dag-id", "nightly", "--run-id", "manual__1", "--task-id", "credits", "--reason", "x")
    with create_session() as session:
        rows = [(row.event, row.dag_id, row.task_id) for row in session.scalars(select(Log).order_by(Log.id))]
    assert rows == [
        ("cli_holds_pause", None, None),
        ("cli_holds_resume", None, None),
        ("cli_holds_release", "nightly", "credits"),
    ]


def test_database_that_cannot_be_read_is_not_an_empty_list(holds, monkeypatch, tmp_path):
    with monkeypatch.context() as patched:
        engine = create_engine(f"sqlite:///{tmp_path}/empty.db")
        patched.setattr("airflow.settings.Session", sessionmaker(bind=engine))
        for command in ("list", "journal"):
            ran = holds(command)
            assert ran.status == 1
            assert ran.out == ""
            assert "no such table" in " ".join(ran.err.split())
            assert "Next step: run\nairflow db check\n" in ran.err
