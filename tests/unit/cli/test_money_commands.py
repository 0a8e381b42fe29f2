"""What the commands show of an account, from the emulator over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.checkouts import made
from tests.support.compat import needs_listed_variables
from tests.support.hold_flags import raise_flag
from tests.support.recorded import TASK, record_claim, record_purchase, show_checkout

LINK = "https://pay.example/cs_1"


def test_balance_of_a_free_account_is_available(videodb, emulator):
    assert videodb("balance") == (0, "BALANCE  AVAILABLE\n3        3\n", "")


@needs_listed_variables
def test_reserve_and_holds_are_not_available(videodb, emulator, limits):
    limits(credit_reserve=10)
    emulator.set_balance(100)
    raise_flag(Kind.HELD, "30")
    raise_flag(Kind.WAITING, "70.5", dag_id="captions")
    raise_flag(Kind.HELD, "50", account="another")
    videodb("holds", "pause", "--account", "videodb_default", "--reason", "x")
    ran = videodb("balance")
    assert ran.out.splitlines()[:3] == [
        "BALANCE  RESERVE  HELD  AVAILABLE",
        "100      10       30    60",
        "1 gate of account videodb_default waits for 70.5 credits.",
    ]
    assert "is paused until somebody resumes it. No gate opens." in ran.out
    shown = json.loads(videodb("balance", "-o", "json").out)
    assert (shown["balance_credits"], shown["available_credits"], shown["waiting_credits"]) == (100, 60, 70.5)
    assert shown["paused"]["reason"] == "x"


def test_usage_shows_credits_by_kind_and_dollars(videodb, emulator, limits):
    limits(monthly_topup_limit=100, max_topup_amount=60)
    emulator.set_balance(100)
    emulator.charge(12.5, "index")
    emulator.charge(3, "upload")
    show_checkout(emulator, "cs_paid", amount=50, status="completed")
    show_checkout(emulator, "cs_open", amount=20)
    assert videodb("usage").out.splitlines() == [
        "KIND    CREDITS",
        "index   12.5",
        "upload  3",
        "",
        "Used this month: 15.5 credits.",
        f"Bought in {datetime.now(UTC):%Y-%m} (UTC): 50 USD paid, 20 USD can still be paid.",
        "30 USD are left of monthly_topup_limit, which is 100 USD.",
        "One purchase may cost 60 USD (max_topup_amount).",
    ]
    shown = json.loads(videodb("usage", "-o", "json").out)
    assert (shown["purchases"]["left_usd"], shown["purchases"]["largest_purchase_usd"]) == (30, 30)
    assert [one["id"] for one in shown["open_checkouts"]] == ["cs_open"]


def test_usage_names_what_cannot_be_added_up(videodb, emulator, limits):
    limits(monthly_topup_limit=100)
    for number in range(4):
        show_checkout(emulator, f"cs_{number}", amount=20, currency="eur")
    shown = videodb("usage").out
    assert "Not added up, because amount or currency is unclear: cs_3, cs_2, cs_1, 1 more." in shown
    assert "It is unknown what is left of monthly_topup_limit, which is 100 USD." in shown


def test_checkout_shows_its_task_and_its_link(videodb, emulator):
    show_checkout(emulator, "cs_1", amount=50)
    record_purchase(made(link_shared=True, posts=(datetime.now(UTC).isoformat(),)))
    record_claim("cs_1")
    lines = videodb("checkouts").out.splitlines()
    assert lines[0].split() == ["AMOUNT", "STATUS", "MADE", "EXPIRES"]
    assert lines[1].startswith("50 USD  pending  20")
    assert lines[1].endswith(("in 24 h", "in 23 h 59 min"))
    assert lines[2:] == ["  cs_1", f"  {TASK} (deleted)", LINK]
    (shown,) = json.loads(videodb("checkouts", "-o", "json").out)["checkouts"]
    assert (shown["amount"], shown["task"]["dag_id"], shown["task"]["payment_url"]) == (50, "nightly", LINK)


@pytest.mark.parametrize("fields", [{"link_shared": False}, {"link_shared": True, "paid": ("cs_1",)}])
def test_link_that_nobody_should_pay_is_not_shown(videodb, emulator, fields):
    show_checkout(emulator, "cs_1", amount=50)
    record_purchase(made(posts=(datetime.now(UTC).isoformat(),), **fields))
    assert LINK not in videodb("checkouts").out
    assert LINK not in videodb("checkouts", "-o", "json").out


def test_checkouts_are_limited_to_the_newest(videodb, emulator):
    assert "has no checkouts" in videodb("checkouts").out
    for number in range(3):
        show_checkout(emulator, f"cs_{number}", amount=20, currency="eur")
    shown = videodb("checkouts", "--limit", "2").out
    assert "cs_2" in shown
    assert "cs_0" not in shown
    assert "For more: python -m airflow_provider_videodb checkouts --limit 20" in shown


@pytest.mark.parametrize("command", ["balance", "usage", "checkouts", "recharge", "answer"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 401}, "API key"),
        ({"kind": "truncated"}, "not complete"),
        ({"kind": "status", "status": 500}, "500"),
    ],
)
def test_failure_of_videodb_is_told_on_stderr(videodb, emulator, command, fault, words):
    emulator.add_fault(**fault)
    ran = videodb(command, "-o", "json")
    assert (ran.status, ran.out) == (1, "")
    assert words in ran.err
    assert "Next step:" in ran.err
    assert max(map(len, ran.err.splitlines())) <= 100


@pytest.mark.parametrize("command", ["balance", "usage", "checkouts", "recharge", "answer"])
def test_unknown_connection_is_told_on_stderr(videodb, command):
    ran = videodb(command, "--conn-id", "nope")
    assert (ran.status, ran.out) == (1, "")
    assert "Airflow has no connection 'nope'" in ran.err


@pytest.mark.parametrize("command", ["balance", "usage", "checkouts", "recharge", "answer"])
def test_ctrl_c_ends_without_a_traceback(videodb, monkeypatch, emulator, command):
    def stopped(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_provider_videodb.api.transport.Transport.get", stopped)
    assert videodb(command) == (1, "", "\nStopped. Nothing was changed.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("balance", "--conn-id", "sk-0123456789ab"),
        ("topup", "sk-0123456789ab"),
        ("answer", "--checkout", "sk-0123456789ab"),
    ],
)
def test_key_on_the_command_line_is_not_repeated(videodb, arguments):
    ran = videodb(*arguments)
    assert ran.status == 2
    assert "API key" in ran.err
    assert "sk-0123456789ab" not in ran.err


@pytest.mark.parametrize(
    "arguments", [("checkouts", "--limit", "0"), ("checkouts", "--limit", "10001"), ("balance", "--conn-id", " ")]
)
def test_bad_argument_ends_with_status_2(videodb, arguments):
    assert videodb(*arguments).status == 2
