"""The hold and the account that a person means."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal

import pytest

from airflow_provider_videodb.cli.choices import choose_account, choose_hold
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import Flag, Kind, holder_of

NAMES = {"dag_id": "a", "run_id": "b", "task_id": "c"}


def named(**given):
    return Namespace(**{"id": None, "dag_id": None, "run_id": None, "task_id": None, "map_index": -1} | given)


def view(*flags):
    return View(
        flags=tuple(
            Flag(account=account, holder="h", try_id="t", kind=kind, credits=Decimal(1), ms=0)
            for account, kind in flags
        ),
        listed_at=1,
    )


def test_names_and_id_mean_the_same_hold():
    holder = holder_of("a", "b", "c", -1)
    assert choose_hold(named(**NAMES)) == holder
    assert choose_hold(named(id=holder.removesuffix(".-1"))) == holder
    assert choose_hold(named(**NAMES, map_index=3)) == holder_of("a", "b", "c", 3)
    assert choose_hold(named(id=holder_of("a", "b", "c", 3))) == holder_of("a", "b", "c", 3)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "name the hold"),
        ({"id": "nightly"}, "'nightly' is not an ID of a hold"),
        ({"id": "0" * 16, "dag_id": "a"}, "not both"),
        ({"id": "0" * 16, "map_index": 2}, "not both"),
        ({"dag_id": "a"}, "--run-id, --task-id are missing"),
        ({"dag_id": "a", "run_id": "b"}, "--task-id is missing"),
    ],
)
def test_unclear_hold_ends_with_status_2(capsys, given, text):
    with pytest.raises(SystemExit) as end:
        choose_hold(named(**given))
    assert end.value.code == 2
    assert text in capsys.readouterr().err


def test_account_may_be_left_out_if_there_is_one():
    assert choose_account("b", view(("a", Kind.HELD))) == "b"
    assert choose_account(None, view(("a", Kind.HELD), ("a", Kind.WAITING))) == "a"
    assert choose_account(None, view()) == "videodb_default"


def test_account_that_is_paused_is_meant_by_resume():
    flags = (("a", Kind.HELD), ("b", Kind.PAUSED))
    assert choose_account(None, view(*flags), kind=Kind.PAUSED) == "b"
    assert choose_account(None, view(("a", Kind.HELD)), kind=Kind.PAUSED) == "a"


def test_several_accounts_are_named():
    with pytest.raises(VideoDBConfigError, match=r"2 accounts: a, b\. Nothing was changed\. Next step: .* --account"):
        choose_account(None, view(("b", Kind.HELD), ("a", Kind.WAITING)))
