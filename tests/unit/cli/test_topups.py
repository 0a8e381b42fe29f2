"""Buying by hand: once, within the limits, and only after a yes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.cli.topups import _about_open
from airflow_provider_videodb.overview.money import ListedCheckout
from tests.support.checkouts import after, listed
from tests.support.recorded import show_checkout

TOPUP = "/billing/topup"


def test_yes_makes_a_checkout_and_prints_its_link(videodb, emulator):
    ran = videodb("topup", "50", types="y\n")
    (bought,) = emulator.checkouts()
    assert ran.status == 0
    assert f"Checkout {bought.id} of 50 USD was made." in ran.out
    assert ran.out.splitlines()[-1] == emulator.payment_url(bought.id)
    assert "Make a checkout of 50 USD on connection videodb_default? [y/N]" in ran.err
    assert "0 USD paid" in ran.err


@pytest.mark.parametrize("typed", ["\n", "n\n", "", "yep\n"])
def test_anything_but_yes_buys_nothing(videodb, emulator, typed):
    ran = videodb("topup", "50", types=typed)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.endswith("Nothing was changed.\n")
    assert emulator.calls("POST") == []


def test_without_a_terminal_it_asks_for_yes(videodb, emulator):
    ran = videodb("topup", "50")
    assert (ran.status, ran.out) == (2, "")
    assert "--yes" in ran.err
    assert emulator.calls("POST") == []


def test_json_of_a_checkout_is_all_of_the_output(videodb, emulator):
    shown = json.loads(videodb("topup", "50", "--yes", "-o", "json").out)
    (bought,) = emulator.checkouts()
    assert (shown["id"], shown["amount"]) == (bought.id, 50)
    assert shown["payment_url"] == emulator.payment_url(bought.id)
    assert datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC) > timedelta(hours=22)


def test_second_run_does_not_buy_again(videodb, emulator):
    videodb("topup", "50", "--yes")
    ran = videodb("topup", "50", "--yes")
    assert (ran.status, ran.out) == (1, "")
    (bought,) = emulator.checkouts()
    assert f"The account has an open checkout of 50 USD already: {bought.id}." in " ".join(ran.err.split())
    assert len(emulator.checkouts()) == 1
    assert videodb("topup", "50", "--yes", "--again").status == 0
    assert videodb("topup", "20", "--yes").status == 0
    assert len(emulator.checkouts()) == 3


def test_person_is_told_of_the_open_checkout(videodb, emulator):
    videodb("topup", "50", "--yes")
    ran = videodb("topup", "50", types="y\n")
    assert "of 50 USD, made " in ran.err
    assert "Make another checkout of 50 USD" in ran.err
    assert len(emulator.checkouts()) == 2


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (listed("cs_1"), "Checkout cs_1 of 50 USD, made 2 min 5 s ago, can still be paid."),
        (listed("cs_1", made_at=None), "Checkout cs_1 of 50 USD, made at an unknown time, can still be paid."),
        (listed(None), "Checkout without an id of 50 USD, made 2 min 5 s ago, can still be paid."),
    ],
    ids=["dated", "undated", "unnamed"],
)
def test_open_checkout_is_described_with_its_age(entry, line):
    assert _about_open([ListedCheckout(checkout=entry, is_payable=True)], after(125)) == [line]


def test_repeated_command_buys_nothing_while_the_list_lags(videodb, emulator):
    emulator.change_settings(list_lag=60)
    videodb("topup", "50", "--yes")
    ran = videodb("topup", "50", "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert re.search(r"ran this command for 50 USD \d s ago", " ".join(ran.err.split()))
    assert len(emulator.calls("POST")) == 1
    assert videodb("topup", "20", "--yes").status == 0


def test_again_buys_while_the_list_lags(videodb, emulator):
    """A server that honours the key makes one checkout for both."""
    emulator.change_settings(list_lag=60)
    videodb("topup", "50", "--yes")
    assert videodb("topup", "50", "--yes", "--again").status == 0
    keys = [call.headers["idempotency-key"] for call in emulator.calls("POST")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_refused_command_can_be_repeated_at_once(videodb, emulator):
    emulator.add_fault("status", status=400, method="POST", path=TOPUP)
    assert videodb("topup", "50", "--yes").status == 1
    assert videodb("topup", "50", "--yes").status == 0


def test_lost_response_is_not_repeated_at_once(videodb, emulator):
    emulator.change_settings(list_lag=60)
    emulator.add_fault("drop_after", method="POST", path=TOPUP)
    videodb("topup", "50", "--yes")
    assert videodb("topup", "50", "--yes").status == 1
    assert len(emulator.checkouts()) == 1


def test_limit_of_the_connection_is_kept(videodb, emulator, limits):
    limits(max_topup_amount=40)
    # It fails before it asks a person.
    ran = videodb("topup", "50", types="y\n")
    assert (ran.status, ran.out) == (1, "")
    assert "50 USD is more than connection videodb_default allows" in ran.err
    assert "[y/N]" not in ran.err
    limits(monthly_topup_limit=60)
    show_checkout(emulator, "cs_paid", amount=20, status="completed")
    assert "monthly_topup_limit" in videodb("topup", "50", "--yes").err
    assert emulator.calls("POST") == []


def test_person_is_told_why_it_takes_long(videodb, emulator, limits, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_LAG", timedelta(0))
    assert videodb("topup", "20", "--yes").err == ""
    limits(monthly_topup_limit=200)
    ran = videodb("topup", "50", "--yes")
    assert (ran.status, ran.err) == (0, "Under monthly_topup_limit, this takes 11 seconds or more.\n")


def test_lost_response_says_what_to_look_for(videodb, emulator):
    emulator.add_fault("drop_after", method="POST", path=TOPUP)
    ran = videodb("topup", "50", "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert "So it is unknown whether a checkout was made." in " ".join(ran.err.split())
    assert "python -m airflow_provider_videodb checkouts --conn-id videodb_default" in ran.err.splitlines()
    assert len(emulator.checkouts()) == 1


def test_ctrl_c_during_the_request_leaves_it_unknown(videodb, emulator, monkeypatch):
    def stopped(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(BillingClient, "topup", stopped)
    ran = videodb("topup", "50", "--yes")
    assert ran.status == 1
    assert "The command was stopped while it asked VideoDB for 50 USD." in " ".join(ran.err.split())
    assert "Nothing was changed" not in ran.err


@pytest.mark.parametrize("amount", ["0", "-5", "1.5", "NaN", "inf", "9" * 30, "fifty", "", "1_000", "1e400"])
def test_bad_amount_ends_with_status_2(videodb, emulator, amount):
    ran = videodb("topup", amount, "--yes")
    assert (ran.status, ran.out) == (2, "")
    assert "is not a whole number of US dollars above zero" in ran.err
    assert emulator.calls() == []
