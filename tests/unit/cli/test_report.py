"""What a person reads in the list."""

from __future__ import annotations

from airflow_provider_videodb.cli.report import describe_accounts, describe_pause
from airflow_provider_videodb.overview.holds import describe_account
from airflow_provider_videodb.overview.pauses import Pause
from tests.support.hold_views import FIRST, HELD, NOW, OTHER, SETTLING, URGENT, WHO, view


def report(*flags, name="a", states=None, pause=None):
    account = describe_account(name, view(*flags), WHO, states or {}, pause)
    return "\n".join(describe_accounts([account], program="airflow videodb"))


def test_account_is_summed_up_first():
    text = report(HELD, SETTLING, FIRST, URGENT)
    assert text.splitlines()[0] == (
        "Account a: 12.5 credits held by 1 pipeline, 7 credits still count after 1 release, "
        "2 gates wait for 70 credits."
    )


def test_hold_is_followed_by_the_line_of_its_task():
    lines = report(HELD, states={("held", "r"): "running"}).splitlines()
    assert " ".join(lines[4].split()) == f"{HELD.holder} 12.5 5 min 2026-11-24 23:55:00 UTC 2 running"
    assert lines[5] == "    DAG held, run r, task t [3]"


def test_link_of_a_waiting_gate_is_a_line_of_its_own():
    link = "https://pay.example/cs_1"
    account = describe_account("a", view(HELD, FIRST), WHO, {}, None, links={FIRST.holder: link})
    assert link in describe_accounts([account], program="x")
    assert account.to_dict()["waiting"][0]["payment_url"] == link


def test_settling_release_says_until_when():
    assert "1 min      2026-11-25 00:01:00 UTC" in report(SETTLING)


def test_first_in_line_is_told_with_its_reason():
    text = report(HELD, FIRST, URGENT)
    assert "First in line, DAG urgent, run r, task t: Waiting: 20 credits needed (12.5 held by 1 pipeline)." in text


def test_ended_run_comes_with_a_command_that_can_be_copied():
    text = report(HELD)
    assert "1 hold has a DAG run that has ended." in text
    assert f"airflow videodb holds release {HELD.holder} --reason '...'" in text
    assert "release" not in report(HELD, states={("held", "r"): "running"})


def test_holder_without_a_name_is_unknown():
    assert "by a task that the record does not name" in report(OTHER, name="b")


def test_pause_keeps_the_words_of_the_person():
    pause = Pause(until_ms=NOW, by="Ada", reason="The INVOICE\x1b[2J")
    assert describe_pause(pause) == "paused until 2026-11-25 00:00:00 UTC by Ada: The INVOICE?[2J"
    assert describe_pause(Pause(until_ms=0)) == "paused until somebody resumes it"
    text = report(pause=pause)
    assert text.splitlines() == [
        "Account a: nobody holds or waits for credits.",
        "It is paused until 2026-11-25 00:00:00 UTC by Ada: The INVOICE?[2J. No gate opens.",
    ]


def test_accounts_are_apart():
    accounts = [describe_account(name, view(), WHO, {}, Pause(until_ms=0)) for name in ("a", "b")]
    assert describe_accounts(accounts, program="x")[2:4] == ["", "Account b: nobody holds or waits for credits."]
