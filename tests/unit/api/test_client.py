"""What the client sends and what it reads from responses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import IdSource
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBNotSentError,
    VideoDBRecordNotKeptError,
    VideoDBResponseError,
)
from tests.conftest import API_KEY
from tests.support.api import LINK, client_of
from tests.support.raw_server import RawServer, raw_response


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
@pytest.mark.parametrize("call", [BillingClient.list_checkouts, BillingClient.list_invoices])
def test_impossible_limit_is_never_sent(call, limit):
    with RawServer(raw_response({"data": []})) as server, pytest.raises(VideoDBConfigError, match="limit is"):
        call(client_of(server), limit)
    assert server.requests == []


@pytest.mark.parametrize("item", [b"null", b'"in_1"', b"17", b"{}", b'{"id": "in_1", "amount": NaN, "date": 0}'])
def test_unreadable_invoice_is_an_error(item):
    with RawServer(raw_response(b'{"data": [' + item + b"]}")) as server, pytest.raises(VideoDBResponseError):
        client_of(server).list_invoices()


@pytest.mark.parametrize("figure", [b"NaN", b"Infinity", b"1e99999999999999999999", b"1e1000000", b"9" * 5000])
def test_unreadable_balance_is_named(figure):
    body = b'{"data": {"credit_balance": %b, "usage_this_month": 1}}' % figure
    with RawServer(raw_response(body)) as server, pytest.raises(VideoDBResponseError, match="credit_balance"):
        client_of(server).get_usage()


@pytest.mark.parametrize(
    "usage",
    [
        {"data": {"credit_balance": 3, "usage_this_month": 1}},
        {"credits_remaining": 3, "total_credits_used": 1},
        {"data": {"credits_remaining": "3", "total_credits_used": "1"}},
        {"data": None, "credit_balance": 3, "usage_this_month": 1},
    ],
)
def test_usage_is_found_in_every_dialect(usage):
    with RawServer(raw_response({"success": True} | usage)) as server:
        found = client_of(server).get_usage()
    assert (found.credit_balance, found.usage_this_month) == (3, 1)


@pytest.mark.parametrize("data", [[], [1], "x", 7, True])
def test_data_must_be_an_object(data):
    with (
        RawServer(raw_response({"success": True, "data": data, "credit_balance": 3, "usage_this_month": 1})) as server,
        pytest.raises(VideoDBResponseError, match="data is"),
    ):
        client_of(server).get_usage()


def test_balance_is_read_digit_by_digit():
    with RawServer(
        raw_response(b'{"data": {"credit_balance": 0.12345678901234567890, "usage_this_month": 1}}')
    ) as server:
        assert client_of(server).get_usage().credit_balance == Decimal("0.12345678901234567890")


def test_unreadable_field_names_call_status_and_request():
    with (
        RawServer(raw_response({"success": True, "data": {"credit_balance": "lots"}}, X_Request_Id="req-1")) as server,
        pytest.raises(VideoDBResponseError) as caught,
    ):
        client_of(server).get_usage()
    assert f"GET {server.url}/billing/usage" in str(caught.value)
    assert "credit_balance / credits_remaining is 'lots'. It must be a number" in str(caught.value)
    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


@pytest.mark.parametrize(
    ("body", "checkout_id", "source"),
    [
        ({"data": {"url": "https://pay.example/xxx"}}, None, None),
        ({"data": {"url": "https://pay.example/cs_test_1"}}, "cs_test_1", IdSource.URL),
        ({"payment_url": "https://pay.example/x", "session_id": "cs_2"}, "cs_2", IdSource.RESPONSE),
        ({"checkout_url": "https://pay.example/x", "id": "cs_3"}, "cs_3", IdSource.RESPONSE),
        ({"data": {"payment_url": "https://pay.example/x", "session_id": "cs_4"}}, "cs_4", IdSource.RESPONSE),
    ],
)
def test_new_checkout_is_read_in_every_dialect(body, checkout_id, source):
    with RawServer(raw_response({"success": True} | body)) as server:
        checkout = client_of(server).topup(50, currency="usd")
    assert (checkout.id, checkout.id_source) == (checkout_id, source)
    assert checkout.url.startswith("https://pay.example/")
    assert (checkout.amount, checkout.currency, checkout.status) == (50, "usd", "pending")


@pytest.mark.parametrize(
    ("call", "path", "payload"),
    [
        (lambda client: client.topup(5), "/billing/topup", {"amount": 5}),
        (
            lambda client: client.topup(5, currency="eur", redirect_url="https://x.example"),
            "/billing/topup",
            {"amount": 5, "currency": "eur", "redirect_url": "https://x.example"},
        ),
        (lambda client: client.create_checkout(5), "/billing/checkout", {"mode": "payment", "amount": 5}),
        (
            lambda client: client.create_checkout(
                mode="subscription", plan_id="p", success_url="https://x.example/s", cancel_url="https://x.example/c"
            ),
            "/billing/checkout",
            {
                "mode": "subscription",
                "plan_id": "p",
                "success_url": "https://x.example/s",
                "cancel_url": "https://x.example/c",
            },
        ),
    ],
)
def test_purchase_sends_what_is_given_and_nothing_else(call, path, payload):
    with RawServer(LINK) as server:
        call(client_of(server))
    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", path, {})
    assert request.json == payload


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"mode": "gift", "amount": 5}, "mode"),
        ({"mode": "subscription"}, "plan_id"),
        ({"mode": "subscription", "plan_id": ""}, "plan_id"),
        ({"mode": "payment"}, "amount"),
    ],
)
def test_checkout_of_no_known_mode_is_never_sent(arguments, named):
    with RawServer(LINK) as server, pytest.raises(VideoDBConfigError, match=named):
        client_of(server).create_checkout(**arguments)
    assert server.requests == []


@pytest.mark.parametrize("purchase", [BillingClient.topup, BillingClient.create_checkout])
def test_purchase_has_its_own_idempotency_key_by_default(purchase):
    with RawServer(LINK) as server:
        for key in (None, None, "mine", "mine"):
            purchase(client_of(server), 5, idempotency_key=key)
    first, second, *given = (request.headers["idempotency-key"] for request in server.requests)
    assert first != second
    assert given == ["mine", "mine"]


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "\u00fcber", "x\u2028y"])
def test_impossible_idempotency_key_is_never_sent(key):
    with RawServer(LINK) as server, pytest.raises(VideoDBConfigError, match="idempotency_key"):
        client_of(server).topup(5, idempotency_key=key)
    assert server.requests == []


def test_production_is_the_default():
    assert BillingClient(API_KEY).base_url == "https://api.videodb.io"


@pytest.mark.parametrize("error", [VideoDBNotSentError, VideoDBConfigError, VideoDBRecordNotKeptError])
def test_request_is_not_written_if_the_last_check_refuses(emulator, error):
    """The check runs once the connection is open, so that only the write follows it."""
    checked = []

    def refuse():
        checked.append(len(emulator.calls()))
        raise error("too old")

    client = BillingClient(emulator.api_key, base_url=emulator.base_url)
    with pytest.raises(error, match=r"^too old$"):
        client.topup(5, before_send=refuse)

    assert checked == [0]
    assert emulator.calls() == emulator.checkouts() == []


def test_last_check_is_made_once_per_request(emulator):
    checked = []
    client = BillingClient(emulator.api_key, base_url=emulator.base_url)
    client.topup(5, before_send=lambda: checked.append(1))
    client.topup(5)

    assert (checked, len(emulator.checkouts())) == ([1], 2)


def test_last_check_is_not_made_for_an_unreachable_host():
    checked = []
    with Emulator() as gone:
        client = BillingClient(gone.api_key, base_url=gone.base_url)
    with pytest.raises(VideoDBNotSentError):
        client.topup(5, before_send=lambda: checked.append(1))

    assert checked == []
