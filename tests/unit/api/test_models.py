from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api.models import AutoRecharge, Checkout, CheckoutStatus, IdSource, Invoice, Usage, by_id
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBResponseError

USAGE = {"credit_balance": 100.1, "usage_this_month": "12.50", "breakdown": {"index": 12.5}}
CHECKOUT = {"id": "cs_1", "amount": 50, "currency": "usd", "status": "pending", "created_at": "2024-01-15T10:30:00Z"}
INVOICE = {"id": "in_1", "amount": "20.00", "status": "paid", "date": "2024-01-15"}
AUTO_RECHARGE = {"enabled": True, "threshold": 10, "amount": 50}


def created(data, amount=50, currency="usd"):
    return Checkout.from_created(data, amount=amount, currency=currency)


@pytest.mark.parametrize(
    ("read", "data", "missing"),
    [
        (Usage.from_api, USAGE, "credit_balance"),
        (Usage.from_api, USAGE, "usage_this_month"),
        *((Invoice.from_api, INVOICE, name) for name in INVOICE),
        *((AutoRecharge.from_api, AUTO_RECHARGE, name) for name in AUTO_RECHARGE),
        (created, {"url": "https://pay.example/1"}, "url"),
    ],
)
@pytest.mark.parametrize(
    "replacement", [{}, None, [], "\t", {"value": 1}], ids=["missing", "null", "list", "blank", "object"]
)
def test_missing_field_is_named(read, data, missing, replacement):
    broken = {name: value for name, value in data.items() if name != missing}
    if replacement != {}:
        broken[missing] = replacement
    with pytest.raises(VideoDBResponseError, match=rf"\b{missing}\b"):
        read(broken)


def test_usage_is_read_exactly():
    usage = Usage.from_api(USAGE)
    assert usage.credit_balance == Decimal("100.1")
    assert usage.usage_this_month == Decimal("12.5")
    assert usage.breakdown == {"index": Decimal("12.5")}


@pytest.mark.parametrize("breakdown", [{}, {"breakdown": None}, {"breakdown": {}}])
def test_usage_may_carry_no_breakdown(breakdown):
    assert Usage.from_api({"credit_balance": 1, "usage_this_month": 0, **breakdown}).breakdown == {}


@pytest.mark.parametrize(("breakdown", "named"), [([1], "breakdown"), ("x", "breakdown"), ({"index": "?"}, "index")])
def test_impossible_breakdown_is_refused(breakdown, named):
    with pytest.raises(VideoDBResponseError, match=named):
        Usage.from_api(USAGE | {"breakdown": breakdown})


@pytest.mark.parametrize(
    ("balance", "threshold", "covered"),
    [("100.1", "100.1", True), ("100.09999999999999", "100.1", False), ("0", "0", True), ("-1", "0", False)],
)
def test_balance_is_compared_exactly(balance, threshold, covered):
    usage = Usage.from_api({"credit_balance": balance, "usage_this_month": 0})
    assert usage.covers(Decimal(threshold)) is covered


@pytest.mark.parametrize("model", [Usage.from_api(USAGE), AutoRecharge.from_api(AUTO_RECHARGE)], ids=["usage", "auto"])
def test_xcom_form_is_plain_json(model):
    assert json.loads(json.dumps(model.to_dict())) == model.to_dict()


def test_usage_leaves_as_json_numbers():
    assert Usage.from_api(USAGE).to_dict() == {
        "credit_balance": 100.1,
        "usage_this_month": 12.5,
        "breakdown": {"index": 12.5},
    }


@pytest.mark.parametrize(
    ("model", "field"),
    [(Usage.from_api(USAGE), "credit_balance"), (Checkout.from_list(CHECKOUT), "status")],
    ids=["usage", "checkout"],
)
def test_models_cannot_be_changed(model, field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(model, field, "other")


def test_breakdown_cannot_be_changed():
    with pytest.raises(TypeError):
        Usage.from_api(USAGE).breakdown["index"] = 0


@pytest.mark.parametrize(
    ("data", "checkout_id", "source"),
    [
        ({"url": "https://checkout.stripe.com/pay/xxx"}, None, None),
        ({"url": "https://checkout.stripe.com/c/pay/cs_test_a1"}, "cs_test_a1", IdSource.URL),
        ({"url": "https://checkout.stripe.com/pay/cs_live_b2?x=1"}, "cs_live_b2", IdSource.URL),
        ({"url": "https://checkout.stripe.com/pay/cs_live_b2#frag"}, "cs_live_b2", IdSource.URL),
        ({"url": "https://pay.example/cs_live_b2/step"}, "cs_live_b2", IdSource.URL),
        ({"url": "https://pay.example/?id=cs_live_b2"}, None, None),
        ({"payment_url": "https://pay.example/cs_1", "session_id": "cs_2"}, "cs_2", IdSource.RESPONSE),
        ({"checkout_url": "https://pay.example/x", "id": "cs_3"}, "cs_3", IdSource.RESPONSE),
        ({"checkout_url": "https://pay.example/cs_4", "id": None}, "cs_4", IdSource.URL),
    ],
)
def test_id_comes_from_the_response_then_from_the_link(data, checkout_id, source):
    checkout = created(data)
    assert (checkout.id, checkout.id_source) == (checkout_id, source)
    assert checkout.status == CheckoutStatus.PENDING
    assert checkout.url == next(iter(data.values()))


def test_subscription_has_no_amount():
    assert created({"url": "https://pay.example/x"}, amount=None, currency=None).amount is None


@pytest.mark.parametrize("status", ["completed", "pending", "expired", "complete", "COMPLETED", "paid", "refunded"])
def test_status_is_kept_word_for_word(status):
    checkout = Checkout.from_list(CHECKOUT | {"status": status})
    assert checkout.status == status
    assert (checkout.status == CheckoutStatus.COMPLETED) is (status == "completed")


NUMBERS_THAT_ARE_NONE = [True, [], {}, "lots", "", " ", math.nan, math.inf, "NaN", 10**400, "1e400", 2**53]
TEXTS_THAT_ARE_NONE = [None, "", " \t", 17, 1.5, True, [], {}, "x" * 1001]
DATES_THAT_ARE_NONE = [None, "", "yesterday", "2024-13-01", True, [], {}, math.nan, 10**18, "9" * 5000, "\ufffd"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("amount", value) for value in NUMBERS_THAT_ARE_NONE),
        *((name, value) for name in ("id", "currency", "status") for value in TEXTS_THAT_ARE_NONE),
        *(("created_at", value) for value in DATES_THAT_ARE_NONE),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_unreadable_field_is_named_and_the_others_stay(name, value):
    whole = Checkout.from_list(CHECKOUT)
    checkout = Checkout.from_list(CHECKOUT | {name: value})
    assert checkout.unreadable == (name,)
    source = None if name == "id" else IdSource.LIST
    lost = {name: "" if name == "status" else None}
    assert checkout == dataclasses.replace(whole, **lost, id_source=source, unreadable=(name,))


@pytest.mark.parametrize("name", ["id", "currency", "status", "created_at"])
def test_absent_field_of_a_listed_checkout_is_named(name):
    checkout = Checkout.from_list({key: value for key, value in CHECKOUT.items() if key != name})
    assert checkout.unreadable == (name,)


@pytest.mark.parametrize("data", [CHECKOUT | {"amount": None}, {k: v for k, v in CHECKOUT.items() if k != "amount"}])
def test_listed_subscription_is_readable(data):
    checkout = Checkout.from_list(data)
    assert (checkout.amount, checkout.unreadable) == (None, ())
    assert (checkout.id, checkout.status) == ("cs_1", "pending")


@pytest.mark.parametrize("entry", [None, "cs_2", 17, True, [], [CHECKOUT]], ids=repr)
def test_listed_entry_must_be_an_object(entry):
    checkout = Checkout.from_list(entry)
    assert checkout.unreadable == ("id", "amount", "currency", "status", "created_at")
    assert (checkout.id, checkout.amount, checkout.currency, checkout.status, checkout.created_at) == (
        None,
        None,
        None,
        "",
        None,
    )


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists) | st.just(CHECKOUT))
def test_any_listed_value_is_read(value):
    assert Checkout.from_list(value).url is None
    assert Checkout.from_list(dict.fromkeys(CHECKOUT, value)).url is None


def test_readable_checkout_names_no_field():
    assert Checkout.from_list(CHECKOUT).unreadable == ()
    assert created({"url": "https://pay.example/x"}).unreadable == ()


def test_checkout_without_id_is_not_indexed():
    assert by_id([Checkout.from_list({}), Checkout.from_list(CHECKOUT)]) == {"cs_1": Checkout.from_list(CHECKOUT)}


@pytest.mark.parametrize("entry", [None, "in_1", 17, []], ids=repr)
def test_invoice_that_is_not_an_object_is_refused(entry):
    with pytest.raises(VideoDBResponseError, match="entry"):
        Invoice.from_api(entry)


@pytest.mark.parametrize(
    "breakdown",
    [{f"kind {number}": 1 for number in range(1001)}, {"x" * 256: 1}, {"ok": 1, "\ufffd" * 300: 2}],
    ids=["many", "long", "one long"],
)
def test_breakdown_of_too_many_or_too_long_names_is_refused(breakdown):
    with pytest.raises(VideoDBResponseError, match=r"breakdown is .*\. It must be at most 1000 names") as caught:
        Usage.from_api(USAGE | {"breakdown": breakdown})
    assert len(str(caught.value)) < 300


def test_breakdown_may_be_as_large_as_the_bounds():
    breakdown = {f"{number}".ljust(255, "x"): number for number in range(1000)}
    assert Usage.from_api(USAGE | {"breakdown": breakdown}).breakdown == breakdown


def test_invoice_is_read_in_both_dialects():
    sample = Invoice.from_api(INVOICE)
    openapi = Invoice.from_api(
        {"id": "in_1", "amount": 20, "currency": "usd", "status": "paid", "pdf_url": "https://x/1", "created_at": 0}
    )
    assert (sample.amount, sample.currency, sample.pdf_url) == (Decimal(20), None, None)
    assert sample.created_at == datetime(2024, 1, 15, tzinfo=UTC)
    assert (openapi.currency, openapi.pdf_url) == ("usd", "https://x/1")


@pytest.mark.parametrize(
    ("data", "threshold", "amount"),
    [
        ({"enabled": True, "threshold": "10.5", "amount": 50}, Decimal("10.5"), 50),
        ({"enabled": True, "threshold_credits": 10, "recharge_amount": 50}, 10, 50),
        ({"enabled": False}, None, None),
        ({"enabled": False, "threshold": None, "amount": None}, None, None),
        ({"enabled": False, "threshold": 0, "amount": 0}, 0, 0),
    ],
)
def test_auto_recharge_is_read_in_both_dialects(data, threshold, amount):
    settings = AutoRecharge.from_api(data)
    assert (settings.threshold, settings.amount) == (threshold, amount)


@pytest.mark.parametrize("enabled", ["true", 1, 0, "no"])
def test_enabled_is_never_a_word(enabled):
    with pytest.raises(VideoDBResponseError, match=r"enabled is .*\. It must be true or false"):
        AutoRecharge.from_api(AUTO_RECHARGE | {"enabled": enabled})


def settings(enabled, threshold, amount):
    return AutoRecharge(enabled=enabled, threshold=threshold, amount=amount)


@pytest.mark.parametrize(
    ("stored", "change", "wanted"),
    [
        ((False, Decimal(5), Decimal(50)), (True, None, None), (True, 5, 50)),
        ((True, Decimal(5), Decimal(50)), (False, None, None), (False, 5, 50)),
        ((True, Decimal(5), Decimal(50)), (True, Decimal(0), None), (True, 0, 50)),
        ((False, None, None), (True, Decimal(1), Decimal(2)), (True, 1, 2)),
        ((False, None, None), (False, None, None), (False, None, None)),
    ],
)
def test_setting_that_is_not_given_stays(stored, change, wanted):
    enabled, threshold, amount = change
    assert settings(*stored).changed_to(enabled=enabled, threshold=threshold, amount=amount) == settings(*wanted)


@pytest.mark.parametrize(
    ("stored", "threshold", "amount"),
    [
        ((False, None, None), None, None),
        ((False, None, None), Decimal(5), None),
        ((False, None, Decimal(5)), None, None),
        ((False, Decimal(5), Decimal(0)), None, None),
        ((False, Decimal(5), Decimal(5)), None, Decimal(-1)),
    ],
)
def test_auto_recharge_is_not_enabled_without_figures(stored, threshold, amount):
    with pytest.raises(VideoDBConfigError, match="Nothing was sent"):
        settings(*stored).changed_to(enabled=True, threshold=threshold, amount=amount)
