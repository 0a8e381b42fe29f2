"""What the list says of an account, for programs."""

from __future__ import annotations

from decimal import Decimal

from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from airflow_provider_videodb.overview.holds import by_account, describe_account, runs_of
from airflow_provider_videodb.overview.pauses import Pause
from tests.support.hold_views import (
    FIRST,
    HELD,
    MINUTE,
    NOW,
    OTHER,
    SETTLED,
    SETTLING,
    URGENT,
    WHO,
    flag,
    view,
)


def described(*flags, states=None, pause=None):
    return describe_account("a", view(*flags), WHO, states or {}, pause).to_dict()


def test_hold_is_shown_with_numbers_as_numbers():
    shown = described(HELD, states={("held", "r"): "running"})
    assert shown["held_credits"] == 12.5
    assert shown["holds"] == [
        {
            "id": HELD.holder,
            "credits": 12.5,
            "since": "2026-11-24T23:55:00Z",
            "age_seconds": 300,
            "dag_id": "held",
            "run_id": "r",
            "task_id": "t",
            "map_index": 3,
            "try_number": 2,
            "run_state": "running",
            "run_has_ended": False,
        }
    ]


def test_id_of_an_unmapped_task_is_short():
    (first,) = described(FIRST)["waiting"]
    assert first["id"] + ".-1" == FIRST.holder


def test_run_that_airflow_has_no_more_has_ended():
    for state, ended in ((None, True), ("failed", True), ("success", True), ("queued", False)):
        states = {("held", "r"): state} if state else {}
        (one,) = described(HELD, states=states)["holds"]
        assert (one["run_state"], one["run_has_ended"]) == (state or "deleted", ended)


def test_holder_without_a_name_is_not_said_to_have_ended():
    (one,) = describe_account("b", view(OTHER), WHO, {}, None).to_dict()["holds"]
    assert one["dag_id"] is None
    assert one["run_state"] is None
    assert one["run_has_ended"] is None


def test_released_credits_are_shown_until_they_settle():
    shown = described(SETTLING, SETTLED)
    assert shown["settling_credits"] == 7
    (one,) = shown["settling"]
    assert one["counts_until"] == "2026-11-25T00:01:00Z"
    assert (one["since"], one["age_seconds"]) == (None, None)


def test_held_and_settling_credits_are_told_apart():
    shown = described(SETTLING, HELD)
    assert (shown["held_credits"], shown["settling_credits"]) == (12.5, 7)
    assert [one["dag_id"] for one in shown["holds"]] == ["held"]
    assert [one["dag_id"] for one in shown["settling"]] == ["settling"]


def test_oldest_hold_comes_first():
    younger = flag("urgent", Kind.HELD, "1", NOW)
    for flags in ((HELD, younger), (younger, HELD)):
        assert [one["credits"] for one in described(*flags)["holds"]] == [12.5, 1]


def test_hold_of_a_clock_that_is_ahead_has_no_negative_age():
    (one,) = described(flag("held", Kind.HELD, "1", NOW + MINUTE))["holds"]
    assert one["age_seconds"] == 0


def test_link_is_shown_with_the_gate_that_waits_for_its_payment():
    links = {FIRST.holder: "https://pay.example/cs_1"}
    waiting = describe_account("a", view(FIRST, URGENT), WHO, {}, None, links=links).to_dict()["waiting"]
    assert [(one["dag_id"], one["payment_url"]) for one in waiting] == [
        ("urgent", None),
        ("first", "https://pay.example/cs_1"),
    ]


def test_those_who_wait_are_in_the_order_of_the_queue():
    shown = described(HELD, FIRST, URGENT)
    assert shown["waiting_credits"] == 70
    assert [(one["place"], one["dag_id"], one["priority"]) for one in shown["waiting"]] == [
        (1, "urgent", 5),
        (2, "first", 0),
    ]
    assert [one["reason"] for one in shown["waiting"]] == [
        "Waiting: 20 credits needed (12.5 held by 1 pipeline). Place 1 of 2.",
        (
            "Waiting: 50 credits needed (12.5 held by 1 pipeline, 20 promised to 1 ahead). Place 2 of 2. "
            "Next in line: DAG urgent, run r, task t."
        ),
    ]


def test_one_who_waits_alone_has_no_place_to_speak_of():
    (one,) = described(FIRST)["waiting"]
    assert one["reason"] == "Waiting: 50 credits needed."


def test_pause_is_shown_and_is_why_they_wait():
    paused = Flag(account="a", holder="-", try_id="-", kind=Kind.PAUSED, credits=Decimal(0), ms=NOW + MINUTE)
    shown = described(FIRST, paused, pause=Pause(until_ms=paused.ms, by="ada", reason="the invoice"))
    assert shown["paused"] == {"until": "2026-11-25T00:01:00Z", "by": "ada", "reason": "the invoice"}
    assert shown["waiting"][0]["reason"].endswith("is paused until 2026-11-25 00:01:00 UTC.")
    assert described(FIRST, pause=Pause(until_ms=0))["paused"] == {"until": None, "by": None, "reason": None}


def test_accounts_are_told_apart():
    parts = by_account(view(OTHER, HELD, FIRST))
    assert list(parts) == ["a", "b"]
    assert parts["a"].is_complete
    assert not by_account(View(flags=(HELD,), listed_at=NOW, is_complete=False))["a"].is_complete
    assert {name: part.flags for name, part in parts.items()} == {"a": (HELD, FIRST), "b": (OTHER,)}
    assert parts["a"].listed_at == NOW


def test_runs_of_all_with_a_name_are_asked_for():
    assert runs_of({flag: WHO[flag] for flag in (HELD, FIRST, OTHER)}) == {("held", "r"), ("first", "r")}
