"""
What somebody edited in Airflow's database gives a right value or one typed error.

Variables, the task state store, trigger arguments and events can be changed by people, by other programs, and by other
versions of this package.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBError, VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.records import parse_key
from airflow_provider_videodb.operators import _recharge_note
from airflow_provider_videodb.purchases import stores
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.credit_wait import CreditWait
from airflow_provider_videodb.triggers._gates import WaitingGate
from airflow_provider_videodb.triggers.events import EventStatus, checked_event, gate_result
from tests.support.hostile import ODD_VALUES, Literal, each_broken, spelt
from tests.support.tries import StandInTry
from tests.support.variables import Store

COMPAT = Path(__file__).parents[2] / "compat"
TOO_DEEP = "[" * 100_000
PLAIN = [value for value in ODD_VALUES if not isinstance(value, Literal)]
FLOATS = [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**400]


def golden(kind):
    return {path.stem: json.loads(path.read_text()) for path in sorted((COMPAT / kind).glob("*.json"))}


def each_edit(value):
    """Yield the value with every odd value at every place, as Python's JSON reads it."""
    for broken in each_broken(value):
        try:
            yield json.loads(spelt(broken))
        except ValueError:
            continue


def check_refusal(error):
    assert "Next step: " in str(error)
    assert len(str(error)) < 1000


def check_purchase(purchase):
    assert 0 < purchase.amount < 2**53
    assert all(0 < amount < 2**53 for amount in purchase.ended.values())
    assert purchase.payment_url is None or purchase.payment_url.startswith(("https://", "http://"))
    assert math.isfinite(purchase.balance_before or 0)
    assert all(datetime.fromisoformat(moment).tzinfo for moment in purchase.posts)
    json.dumps(purchase.to_dict(), allow_nan=False)


@pytest.mark.parametrize("state", golden("records"))
def test_edited_record_is_read_or_refused(state):
    for record in each_edit(golden("records")[state]):
        store = Store()
        store.set("videodb_purchase", record)
        try:
            purchase = Journal(store, StandInTry("01a2134f-a4b2-7000-8000-000000000001")).load()
        except VideoDBError as err:
            check_refusal(err)
        else:
            if purchase is not None:
                check_purchase(purchase)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        *(("amount", value, "an amount is") for value in (0, -20, 2**53 + 1, 10**400)),
        *(("balance_before", value, "balance_before is") for value in FLOATS),
        *(
            ("payment_url", value, "payment_url is not the address of a web page")
            for value in ("javascript:alert(1)", "https://videodb.io@evil.example/", "https://pay.example/\u202e")
        ),
    ],
)
def test_edited_field_of_a_record_is_refused(field, value, why):
    store, record = Store(), golden("records")["checkout_made"]
    record["purchase"][field] = value
    store.set("videodb_purchase", record)
    with pytest.raises(VideoDBError, match=why):
        Journal(store, StandInTry("01a2134f-a4b2-7000-8000-000000000001")).load()


@pytest.mark.parametrize("text", ["", "{", "null", TOO_DEEP, "\ud800", "9" * 5000])
def test_variable_that_is_no_record_is_refused(monkeypatch, text):
    monkeypatch.setattr(stores, "read_variable", lambda _: text)
    with pytest.raises(VideoDBRecordUnreadableError, match="somebody changed it"):
        stores.VariableStore(("dag", "run", "task", "-1")).get("videodb_purchase")


@pytest.mark.parametrize("text", ["", "{", "null", "[]", TOO_DEEP, '{"videodb_conn_id": 1, "before": 2}'])
def test_note_that_was_overwritten_is_refused(monkeypatch, text):
    monkeypatch.setattr(_recharge_note, "read_variable", lambda _: text)
    with pytest.raises(VideoDBConfigError, match="was overwritten"):
        _recharge_note.load_note("key")


@pytest.mark.parametrize("name", golden("waits"))
def test_edited_wait_is_read_or_refused(name):
    wait = golden("waits")[name]
    edits = [wait | {field: figure} for field in ("deadline", "recheck_at") for figure in FLOATS]
    for state in (*each_edit(wait), *edits):
        try:
            read = CreditWait.from_dict(state)
        except VideoDBError as err:
            check_refusal(err)
        else:
            datetime.fromtimestamp(read.deadline).astimezone()
            datetime.fromtimestamp(max(0, read.ends_at(settle_timeout=60, now=1e9))).astimezone()
            json.dumps(read.to_dict(), allow_nan=False)


@pytest.mark.parametrize("name", golden("events"))
def test_edited_event_is_read_or_refused(name):
    event, expected = golden("events")[name], (EventStatus.ENOUGH, EventStatus.MAY_OPEN, EventStatus.TIMEOUT)
    if event.get("status") in expected:
        assert checked_event(event, *expected) == event
    balances = [{"credit_balance": balance} for balance in ("5", True, None, *FLOATS)]
    edits = [event | {"usage": usage} for usage in (1, "x", [], {}, *balances)]
    for edited in (*each_edit(event), *edits):
        try:
            checked = checked_event(edited, *expected)
        except VideoDBError:
            continue
        if checked["status"] == EventStatus.ENOUGH:
            json.dumps(gate_result(checked)["credit_balance"], allow_nan=False)


@pytest.mark.parametrize("value", [*PLAIN, *FLOATS], ids=lambda value: repr(value)[:20])
def test_edited_gate_is_read_or_refused(value):
    right = {"holds": True, "holder": "a.1", "try_id": "1", "priority": 0}
    assert WaitingGate.from_dict(right).holder == "a.1"
    for fields in (value, *(right | {name: value} for name in right)):
        try:
            gate = WaitingGate.from_dict(fields)
        except VideoDBConfigError:
            continue
        json.dumps(gate.to_dict(), allow_nan=False)


@pytest.mark.parametrize("value", [*PLAIN, *FLOATS], ids=lambda value: repr(value)[:20])
def test_edited_value_of_a_flag_is_read_or_ignored(value):
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number", "settlement_ms")
    right = dict.fromkeys(names[:3], "x") | dict.fromkeys(names[3:], 1)
    assert Identity.from_text(json.dumps(right)) is not None
    for fields in (value, *(right | {name: value} for name in names)):
        identity = Identity.from_text(json.dumps(fields))
        assert identity is None or identity.settlement_ms >= 0
    assert Identity.from_text(TOO_DEEP) is None


@pytest.mark.parametrize(
    "figure", ["0", "-1", "1e5", "9" * 100, "0." + "0" * 150 + "1", "\u0661", "NaN", "1_0", "01", "+1"]
)
def test_edited_key_of_a_flag_is_its_one_spelling_or_ignored(figure):
    right = ["acc", "h.-1", "0123456789ab", "h", "5", "1700000000000"]
    assert parse_key("videodb/holds/" + "/".join(right)) is not None
    for place in range(len(right)):
        key = "videodb/holds/" + "/".join([*right[:place], figure, *right[place + 1 :]])
        flag = parse_key(key)
        assert flag is None or (flag.key == key and flag.credits >= 0 and flag.ms >= 0)
