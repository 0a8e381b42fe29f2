"""The client against both dialects of the emulator, and against a server made from the OpenAPI document."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import yaml

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import IdSource
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBPermissionError,
    VideoDBRefusedError,
)
from tests.conftest import API_KEY
from tests.support.raw_server import RawServer, raw_response

DOCUMENT = yaml.safe_load(Path(__file__).with_name("videodb-billing.openapi.yaml").read_text())
EXAMPLES = {
    "uri": "https://checkout.stripe.com/pay/cs_test_0a",
    "date-time": "2019-08-24T14:15:22Z",
    "^cs_test_[0-9a-f]+$": "cs_test_0a",
    "^[a-z]{3}$": "usd",
}
CALLS = {
    "GET /billing/usage": BillingClient.get_usage,
    "POST /billing/topup": lambda client: client.topup(5, currency="usd", redirect_url="https://app.example/done"),
    "POST /billing/checkout": lambda client: client.create_checkout(
        5, success_url="https://app.example/done", cancel_url="https://app.example/back"
    ),
    "GET /billing/checkouts": BillingClient.list_checkouts,
    "GET /billing/invoices": BillingClient.list_invoices,
    "GET /billing/auto_recharge": BillingClient.get_auto_recharge,
    "POST /billing/auto_recharge": lambda client: client.set_auto_recharge(
        enabled=True, threshold=Decimal(1), amount=Decimal(1)
    ),
}


@pytest.fixture(params=["openapi", "sample"])
def emulator(request):
    with Emulator(credits=3, api_key=API_KEY, dialect=request.param) as running:
        yield running


@pytest.fixture
def client(emulator):
    return BillingClient(API_KEY, base_url=emulator.base_url, max_retries=0)


def test_usage_is_read(emulator, client):
    emulator.set_balance("100.1")
    emulator.charge("0.05", "index_scenes")
    usage = client.get_usage()
    assert usage.credit_balance == Decimal("100.05")
    assert usage.usage_this_month == Decimal("0.05")
    assert not usage.covers(Decimal("100.1"))
    if emulator.settings.dialect == "openapi":
        assert usage.breakdown == {"index_scenes": Decimal("0.05")}


@pytest.mark.parametrize(
    "buy",
    [
        lambda client: client.topup(50, currency="usd", redirect_url="https://app.example/done"),
        lambda client: client.create_checkout(50, success_url="https://app.example/done"),
    ],
    ids=["topup", "checkout"],
)
def test_purchase_runs_from_order_to_invoice(emulator, client, buy):
    ordered = buy(client)
    (pending,) = client.list_checkouts()
    assert ordered.id == pending.id
    assert ordered.id_source == (IdSource.RESPONSE if emulator.settings.dialect == "sample" else IdSource.URL)
    assert ordered.url == emulator.payment_url(ordered.id)
    assert (pending.amount, pending.currency, pending.status) == (50, "usd", "pending")
    assert abs((pending.created_at - emulator.now()).total_seconds()) < 5
    assert client.list_invoices() == []

    emulator.pay(ordered.id)

    assert [checkout.status for checkout in client.list_checkouts()] == ["completed"]
    assert client.get_usage().credit_balance == 53
    (invoice,) = client.list_invoices()
    assert (invoice.amount, invoice.status) == (50, "paid")


def test_subscription_is_ordered_and_listed(client):
    checkout = client.create_checkout(mode="subscription", plan_id="pro")
    assert checkout.amount is None
    assert client.list_checkouts()[0].id == checkout.id


def test_unpaid_checkout_expires(emulator, client):
    client.topup(5)
    emulator.advance(25 * 3600)
    assert [checkout.status for checkout in client.list_checkouts()] == ["expired"]


def test_long_lists_are_read_whole(emulator, client):
    ordered = [client.topup(5).id for _ in range(103)]
    for checkout_id in ordered:
        emulator.pay(checkout_id)
    assert {checkout.id for checkout in client.list_checkouts()} == set(ordered)
    assert len(client.list_checkouts()) == 103
    assert len(client.list_checkouts(7)) == 7
    assert len(client.list_invoices()) == 103


def test_poll_costs_one_call(emulator, client):
    client.topup(5)
    client.poll_checkouts()
    emulator.clear_calls()
    for _ in range(5):
        assert len(client.poll_checkouts()) == 1
    assert len(emulator.calls()) == 5


def test_auto_recharge_is_written_and_read(emulator, client):
    assert client.get_auto_recharge().enabled is False
    written = client.set_auto_recharge(enabled=True, threshold=Decimal("10.5"), amount=Decimal(500))
    assert (written.enabled, written.threshold, written.amount) == (True, Decimal("10.5"), 500)
    disabled = client.set_auto_recharge(enabled=False)
    assert (disabled.enabled, disabled.threshold, disabled.amount) == (False, Decimal("10.5"), 500)
    assert emulator.auto_recharge.enabled is False


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_wrong_key_is_reported_by_every_call(emulator, call):
    with pytest.raises(VideoDBAuthenticationError, match="HTTP 401"):
        call(BillingClient("sk-wrong", base_url=emulator.base_url, max_retries=0))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_refusal_is_reported_by_every_call(emulator, client, call):
    emulator.add_fault("status", status=403, body={"success": False, "message": "not yours", "error_code": "FORBIDDEN"})
    with pytest.raises(VideoDBPermissionError, match="not yours") as caught:
        call(client)
    assert caught.value.error_code == "FORBIDDEN"


def test_bad_input_is_refused_in_the_servers_words(client):
    with pytest.raises(VideoDBRefusedError, match=r"HTTP 400.*currency must be") as caught:
        client.topup(5, currency="dollars")
    assert caught.value.error_code


def test_honoured_idempotency_key_returns_the_lost_link(emulator, client):
    emulator.change_settings(idempotency="honour")
    first, second = (client.topup(5, idempotency_key="one-purchase") for _ in range(2))
    assert (first.id, first.url) == (second.id, second.url)
    assert len(emulator.checkouts()) == 1


def schema_of(node):
    """Follow a reference of the document."""
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def example_of(schema):
    """Make up a value of a schema, as a server that is generated from a document does."""
    schema = schema_of(schema)
    if schema["type"] == "object":
        return {name: example_of(field) for name, field in schema.get("properties", {}).items()}
    if schema["type"] == "array":
        return [example_of(schema["items"])]
    if "enum" in schema:
        return schema["enum"][0]
    by_type = {"string": "in_1", "boolean": True, "number": 1, "integer": 1}
    return EXAMPLES.get(schema.get("format")) or EXAMPLES.get(schema.get("pattern")) or by_type[schema["type"]]


def operation_of(call):
    method, path = call.split()
    return DOCUMENT["paths"][path][method.lower()]


def generated(request):
    content = schema_of(operation_of(f"{request.method} {request.path}")["responses"]["200"])["content"]
    return raw_response(example_of(content["application/json"]["schema"]))


@pytest.mark.parametrize("call", CALLS)
def test_server_made_from_the_document_is_understood(call):
    with RawServer(generated) as server:
        CALLS[call](BillingClient(API_KEY, base_url=server.url, max_retries=0))
    request = server.requests[0]
    assert f"{request.method} {request.path}" == call
    operation = operation_of(call)
    known = {
        schema_of(parameter)["name"]: schema_of(parameter)["schema"] for parameter in operation.get("parameters", [])
    }
    for name, value in request.query.items():
        jsonschema.validate(int(value), known[name])
    if request.body:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(request.json, {**schema, "components": DOCUMENT["components"]})


def test_client_makes_every_call_of_the_document():
    assert set(CALLS) == {
        f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods
    }
