"""Why a task waits, and what a person can do about it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_provider_videodb.api.models import Checkout
from airflow_provider_videodb.overview.pauses import Pause
from airflow_provider_videodb.overview.waits import AccountNow, describe_question, describe_task, read_wait

GOLDEN = Path(__file__).parents[2] / "compat" / "triggers"
MADE = datetime(2026, 1, 15, 12, tzinfo=UTC)
SOON = MADE + timedelta(hours=1)
PAUSE = Pause(until_ms=0, by="Ada", reason="VideoDB moves its servers.")
NOTHING_KNOWN = AccountNow(balance=None, available=None, listed={}, reasons={}, pause=None)


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())["kwargs"]


def listed(status, *, made=MADE):
    one = Checkout(
        id="cs_1", url=None, amount=Decimal(50), currency="usd", status=status, created_at=made, id_source=None
    )
    return replace(NOTHING_KNOWN, listed={"cs_1": one})


def account(balance, available=None, **changes):
    available = balance if available is None else available
    return replace(NOTHING_KNOWN, balance=Decimal(balance), available=Decimal(available), **changes)


def described(kwargs, account=NOTHING_KNOWN, *, now=SOON):
    return describe_task(read_wait(kwargs), account, now=now)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_arguments_of_every_version_are_read(path):
    wait = read_wait(json.loads(path.read_text())["kwargs"])
    assert wait.is_readable
    assert wait.conn_id
    assert describe_task(wait, account(1), now=SOON)["why"]


@pytest.mark.parametrize("kwargs", [None, "x", [], {"purchase": {}}, {"wait": {"purchase": 1}}])
def test_unreadable_arguments_send_a_person_to_the_task(kwargs):
    shown = described(kwargs)
    assert (shown["todo"], shown["url"]) == ("open_task", None)


@pytest.mark.parametrize("gate", [{"holder": []}, {"holder": {}}, {"holder": None}, {"respects_holds": []}], ids=str)
def test_odd_gate_breaks_nothing(gate):
    assert described(golden("credits") | {"threshold": 100, "gate": gate}, account(40))["why"]


@pytest.mark.parametrize("name", ["videodb_conn_id", "deadline", "threshold", "gate", "wait"])
@pytest.mark.parametrize("value", [None, [], {}, "x", True, float("nan"), float("inf"), -1, 1e300])
def test_odd_argument_breaks_nothing(name, value):
    assert described(golden("ensure_credits_paid") | {name: value})["why"]


def test_unpaid_checkout_is_to_be_paid():
    shown = described(golden("checkout"), listed("pending"))
    assert shown["todo"] == "pay"
    assert shown["url"] == "https://pay.example/cs_1"
    assert shown["price"] == "50 USD"
    assert shown["checkout"] == "cs_1"
    assert shown["expires"] == "2026-01-16T12:00:00Z"
    assert shown["gives_up"] == "2100-01-01T00:00:00Z"


def test_checkout_that_was_never_dated_can_still_be_paid():
    kwargs = golden("checkout")
    kwargs["purchase"] |= {"posts": []}
    shown = described(kwargs)
    assert (shown["todo"], shown["expires"]) == ("pay", None)


def test_paid_checkout_needs_nobody():
    shown = described(golden("checkout"), listed("completed"))
    assert (shown["todo"], shown["url"]) == ("nothing", None)
    assert shown["why"] == "50 USD is paid. The task continues at its next poll."


@pytest.mark.parametrize(
    ("account", "now"),
    [
        (listed("expired"), SOON),
        (NOTHING_KNOWN, MADE + timedelta(hours=24)),
        (listed("pending", made=MADE - timedelta(hours=2)), MADE + timedelta(hours=22)),
    ],
)
def test_expired_link_is_not_offered(account, now):
    shown = described(golden("checkout"), account, now=now)
    assert (shown["todo"], shown["url"]) == ("open_task", None)
    assert "has expired" in shown["why"]


def test_purchase_without_a_link_cannot_be_paid_here():
    kwargs = golden("checkout")
    kwargs["purchase"] |= {"payment_url": None}
    assert described(kwargs)["todo"] == "open_task"


def test_moment_of_the_year_9999_breaks_nothing():
    shown = described(golden("checkout"), listed("pending", made=datetime.max.replace(tzinfo=UTC)))
    assert shown["expires"] is None


def test_gate_that_lacks_credits_asks_for_them():
    kwargs = golden("credits") | {"threshold": 100}
    shown = described(kwargs, account(40))
    assert shown["todo"] == "add_credits"
    assert shown["why"] == "It needs 100 credits. 40 are available, so 60 are missing."
    assert (shown["needs"], shown["price"], shown["checkout"], shown["expires"]) == (100, None, None, None)


def test_debt_is_missing_too():
    why = described(golden("credits") | {"threshold": 100}, account(-20))["why"]
    assert why == "It needs 100 credits. -20 are available, so 120 are missing."


def test_gate_that_buys_asks_nobody():
    kwargs = golden("ensure_credits_without_purchase") | {"threshold": 100}
    kwargs["wait"] = kwargs["wait"] | {"buys_if_short": True}
    assert described(kwargs, account(40))["todo"] == "nothing"


def test_price_comes_with_what_is_missing():
    kwargs = golden("ensure_credits_filled") | {"threshold": 100}
    kwargs["wait"]["purchase"] = golden("checkout")["purchase"]
    why = described(kwargs, account(40))["why"]
    assert why == (
        "It needs 100 credits. 40 are available, so 60 are missing. The task waits until somebody pays 50 USD."
    )


def test_price_comes_alone_if_only_the_payment_is_awaited():
    kwargs = golden("ensure_credits_filled") | {"threshold": 100}
    kwargs["wait"]["purchase"] = golden("checkout")["purchase"]
    assert described(kwargs, account(100))["why"] == "The task waits until somebody pays 50 USD."


def test_enough_credits_need_nobody():
    shown = described(golden("credits") | {"threshold": 100}, account(100))
    assert shown["todo"] == "nothing"
    assert "enough credits" in shown["why"]


def test_credits_that_others_hold_are_no_reason_to_buy():
    kwargs = golden("credits_holding") | {"threshold": 100}
    holder = read_wait(kwargs).holder
    shown = described(kwargs, account(120, 20))
    assert (shown["todo"], "others hold" in shown["why"]) == ("nothing", True)
    shown = described(kwargs, account(100, 20, reasons={holder: "Place 2 of 3."}))
    assert (shown["todo"], shown["why"]) == ("nothing", "Place 2 of 3.")
    shown = described(kwargs, account(100, 100, reasons={holder: "Place 2 of 3."}))
    assert shown["why"] == "Place 2 of 3. The task checks at its next poll."


@pytest.mark.parametrize(
    ("gate", "todo"),
    [
        (None, "add_credits"),
        ({"holds": False, "respects_holds": False}, "add_credits"),
        ({"holds": False, "respects_holds": True}, "resume"),
        # A version that stored no such field respected holds.
        ({"holds": False}, "resume"),
        ({"holder": "0123456789abcdef.-1", "respects_holds": False}, "resume"),
    ],
    ids=str,
)
def test_only_a_gate_that_holds_or_respects_holds_waits_for_them(gate, todo):
    kwargs = golden("credits") | {"threshold": 100, "gate": gate}
    assert described(kwargs, account(40, pause=PAUSE))["todo"] == todo
    is_free = todo == "add_credits"
    why = described(kwargs, account(100, 20))["why"]
    assert ("the account has enough credits" in why) is is_free
    assert ("is in reserve, or others hold it" in why) is not is_free


def test_paused_account_is_to_be_resumed():
    shown = described(golden("credits_holding") | {"threshold": 1}, account(100, pause=PAUSE))
    assert shown["todo"] == "resume"
    assert shown["why"] == "Ada paused the account until somebody resumes it: VideoDB moves its servers."


def test_pause_without_a_name_and_a_reason_says_its_end():
    pause = Pause(until_ms=1_700_000_000_000)
    shown = described(golden("credits_holding") | {"threshold": 1}, account(100, pause=pause))
    assert shown["why"] == "The account is paused until 2023-11-14 22:13:20 UTC."


def test_pause_cannot_write_control_characters():
    pause = replace(PAUSE, by="Ada\x1b[2J", reason="")
    shown = described(golden("credits_holding") | {"threshold": 1}, account(100, pause=pause))
    assert shown["why"].startswith("Ada?[2J paused the account until")


def test_gate_that_ignores_holds_ignores_a_pause():
    shown = described(golden("credits") | {"threshold": 100}, account(1, pause=PAUSE))
    assert shown["todo"] == "add_credits"


def test_unknown_balance_is_not_taken_for_missing_credits():
    assert described(golden("credits") | {"threshold": 100})["todo"] == "nothing"


def test_payment_that_the_balance_does_not_show_needs_nobody():
    kwargs = golden("ensure_credits_filled") | {"threshold": 100}
    kwargs["wait"]["purchase"] = golden("checkout")["purchase"] | {"paid": ["cs_1"]}
    shown = described(kwargs, account(1))
    assert shown["todo"] == "nothing"
    assert "is paid" in shown["why"]


def test_request_is_shown_without_control_characters():
    shown = describe_question("Buy 50 USD?\n\x1b", gives_up=SOON)
    assert (shown["todo"], shown["why"]) == ("approve", "Buy 50 USD???")
    assert shown["gives_up"] == "2026-01-15T13:00:00Z"


def asking(**changes):
    kwargs = golden("ensure_credits_without_purchase") | {"threshold": "53", "required_action": "open"} | changes
    assert kwargs["wait"]["purchase"] is None
    return kwargs


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (account(3), "It needs 53 credits. 3 are available, so 50 are missing. It asks whether it may buy the rest."),
        (NOTHING_KNOWN, "It waits for 53 credits. The balance is unknown. It asks whether it may buy the rest."),
    ],
)
def test_gate_that_asks_before_it_buys_is_to_be_decided(known, why):
    shown = described(asking(), known)
    assert (shown["todo"], shown["why"]) == ("approve", why)


def test_gate_that_asks_says_who_is_ahead():
    kwargs = asking(gate=golden("credits_holding")["gate"])
    holder = kwargs["gate"]["holder"]
    shown = described(kwargs, account(3, reasons={holder: "30 are promised to 1 ahead."}))
    assert shown["why"] == "30 are promised to 1 ahead. It asks whether it may buy the rest."


def test_gate_that_asks_needs_nobody_once_the_credits_are_there():
    assert described(asking(), account(53))["todo"] == "nothing"


def test_request_about_a_payment_is_no_question():
    kwargs = golden("checkout_in_required_actions")
    assert kwargs["required_action"] == "open"
    assert not read_wait(kwargs).asks


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a@b.example/"])
def test_link_that_is_no_web_address_is_not_shown(link):
    kwargs = golden("checkout")
    kwargs["purchase"]["payment_url"] = link
    shown = described(kwargs)
    assert (shown["todo"], shown["url"]) == ("open_task", None)
    assert link not in str(shown)
