"""What a person reads of a gate that waits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb.holds.rules.account import Assessment, Counted
from airflow_provider_videodb.holds.rules.messages import describe_wait, moment, number
from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.holds import Task, flag

RUNNING = Counted(flag=flag(Kind.HELD, Task(dag_id="b"), 80))
SETTLING = Counted(flag=flag(Kind.RELEASED, Task(dag_id="c"), "7.50"))
AHEAD = flag(Kind.WAITING, Task(dag_id="d"), 30)


def said(**fields: Any) -> str:
    usual: dict[str, Any] = {
        "balance": Decimal(150),
        "reserve": Decimal(0),
        "counted": (),
        "ahead": (),
        "before": (),
        "first": None,
        "place": 1,
        "waiting": 1,
        "paused_until": None,
        "is_complete": True,
    }
    first = fields.pop("first", None)
    return describe_wait(Assessment(**usual | fields), Decimal(200), first=first)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "200 credits needed, 150 available (150 on the account)."),
        ({"reserve": Decimal(5)}, "200 credits needed, 145 available (150 on the account, 5 in reserve)."),
        (
            {"counted": (RUNNING,)},
            "200 credits needed, 70 available (150 on the account, 80 held by 1 pipeline).",
        ),
        (
            {"counted": (SETTLING,)},
            "200 credits needed, 142.5 available (150 on the account, 7.5 held by 1 pipeline, of which 1 is settling).",
        ),
        (
            {"counted": (RUNNING, SETTLING, SETTLING)},
            "200 credits needed, 55 available (150 on the account, 95 held by 3 pipelines, of which 2 are settling).",
        ),
        (
            {"ahead": (AHEAD,), "place": 2, "waiting": 2, "first": "d"},
            (
                "200 credits needed, 120 available (150 on the account, 30 promised to 1 ahead). Place 2 of 2. "
                "Next in line: d."
            ),
        ),
        (
            {"paused_until": 0},
            "200 credits needed. The account is paused until somebody resumes it.",
        ),
        (
            {"paused_until": 1_800_000_000_000},
            "200 credits needed. The account is paused until 2027-01-15 08:00:00 UTC.",
        ),
        (
            {"is_complete": False, "paused_until": 0},
            (
                "200 credits needed. The account has more records of holds than one listing shows, so no gate opens. "
                "Ended holds are being removed."
            ),
        ),
    ],
)
def test_waiting_gate_says_why(fields: dict[str, Any], text: str) -> None:
    assert said(**fields) == f"Waiting: {text}"


@pytest.mark.parametrize(
    ("credits", "text"),
    [
        ("100", "100"),
        ("1E+2", "100"),
        ("7.50", "7.5"),
        ("7.00", "7"),
        ("0", "0"),
        ("-60", "-60"),
        ("0.000001", "0.000001"),
    ],
)
def test_credits_are_written_plainly(credits: str, text: str) -> None:
    assert number(Decimal(credits)) == text


def test_last_moment_of_a_flag_can_be_written() -> None:
    assert moment(253_402_300_799_999) == "9999-12-31 23:59:59 UTC"
