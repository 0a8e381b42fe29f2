"""Automatic recharge by hand."""

from __future__ import annotations

import json

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.recharge import Holder, Mark
from tests.support.recorded import put_variable

ON = ("recharge", "--enable", "--threshold", "20", "--amount", "100")
WRITTEN = "/billing/auto_recharge"


def needed_by(dag_id):
    """Record that a pipeline needs automatic recharge."""
    who = Identity(dag_id=dag_id, run_id="r", task_id="on", map_index=-1, try_number=1, settlement_ms=0)
    owner = Holder(account="videodb_default", holder=who.holder, try_id="0123456789ab")
    for mark in (Mark.WANTS, Mark.FOUND):
        settings = AutoRecharge(enabled=mark is Mark.WANTS, threshold=None, amount=None)
        put_variable(owner.flag(mark, settings).key, who.to_text(kind=mark.name))


def test_settings_are_shown(videodb, emulator):
    assert videodb("recharge").out == "Automatic recharge of connection videodb_default is off.\n"
    emulator.set_auto_recharge(enabled=True, threshold=20, amount=100)
    shown = videodb("recharge").out
    assert "is on.\nVideoDB buys 100 credits as soon as fewer than 20 are left." in shown
    assert "the limits of the connection do not apply" in shown
    assert json.loads(videodb("recharge", "-o", "json").out) == {
        "conn_id": "videodb_default",
        "enabled": True,
        "threshold": 20,
        "amount": 100,
        "pipelines": [],
    }


def test_it_is_turned_on_and_off(videodb, emulator):
    ran = videodb(*ON, types="y\n")
    assert ran.status == 0
    assert "Change it to on, 100 credits below 20? [y/N]" in ran.err
    assert ran.out.count("Automatic recharge of connection videodb_default") == 1
    assert emulator.auto_recharge.enabled
    ran = videodb("recharge", "--disable", types="y\n")
    assert "Change it to off? [y/N]" in ran.err
    assert "is off.\nWhen it is on, VideoDB buys 100 credits" in ran.out
    assert not emulator.auto_recharge.enabled


def test_it_is_not_changed_without_a_yes(videodb, emulator):
    assert videodb(*ON, types="n\n").status == 1
    assert videodb(*ON).status == 2
    assert not emulator.auto_recharge.enabled


def test_same_settings_are_not_written_again(videodb, emulator):
    videodb(*ON, "--yes")
    emulator.clear_calls()
    ran = videodb(*ON, types="y\n")
    assert (ran.status, ran.err) == (0, "Automatic recharge has these settings already. Nothing was changed.\n")
    assert "Automatic recharge of connection videodb_default is on." in ran.out
    assert emulator.calls("POST") == []


def test_pipelines_that_rely_on_it_are_named(videodb, emulator):
    needed_by("nightly")
    text = "The last one will see your change, and will not overwrite it."
    assert "DAG nightly, run r, task on" in videodb("recharge").out
    assert text in videodb(*ON, types="n\n").err


def test_change_that_concerns_no_pipeline_names_none(videodb, emulator):
    assert "will see your change" not in videodb(*ON, types="n\n").err


def test_account_without_figures_needs_both(videodb, emulator):
    ran = videodb("recharge", "--enable", "--yes")
    assert ran.status == 1
    assert "Next step: give --threshold and --amount." in ran.err


def test_lost_response_is_followed_by_a_read(videodb, emulator):
    emulator.add_fault("drop_after", method="POST", path=WRITTEN)
    assert "is on." in videodb(*ON, "--yes").out


def test_ctrl_c_during_the_request_leaves_it_unknown(videodb, emulator, monkeypatch):
    def stopped(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(BillingClient, "set_auto_recharge", stopped)
    ran = videodb(*ON, "--yes")
    assert ran.status == 1
    text = "The command was stopped during its request. So it is unknown whether the settings changed."
    assert text in " ".join(ran.err.split())


def test_settings_are_unknown_if_they_cannot_be_read_back(videodb, emulator, limits):
    limits(max_retries=0)
    emulator.add_fault("drop_after", method="GET", path=WRITTEN, skip=1)
    ran = videodb(*ON, "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert "So it is unknown whether the settings changed." in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--enable", "--disable"), "not both"),
        (("--threshold", "5"), "--threshold needs --enable"),
        (("--disable", "--amount", "5"), "--amount needs --enable"),
        (("--enable", "--threshold", "-1", "--amount", "5"), "zero or more"),
        (("--enable", "--threshold", "NaN", "--amount", "5"), "zero or more"),
    ],
)
def test_bad_options_end_with_status_2(videodb, emulator, arguments, text):
    ran = videodb("recharge", *arguments, "--yes")
    assert (ran.status, ran.out) == (2, "")
    assert text in " ".join(ran.err.split())
