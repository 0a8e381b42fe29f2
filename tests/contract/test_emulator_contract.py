"""The emulator keeps what `videodb-billing.openapi.yaml` says, whatever is sent to it over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from airflow_provider_videodb.emulator.server import Emulator

DOCUMENT = Path(__file__).with_name("videodb-billing.openapi.yaml")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    ignored_auth,
    unsupported_method,
]


@pytest.fixture(scope="module")
def emulator():
    # The largest page: accounts with more checkouts than one answer holds are part of the contract.
    with Emulator(credits=1000, pay_after=0, api_key="sk-contract") as running:
        # Enabling without figures is refused as long as none were ever set: that depends on more than the request.
        running.set_auto_recharge(threshold=10, amount=50)
        running.charge("1.25", "index_scenes")
        yield running


# The key is added to every request below. Generated as a parameter it would count as wrong, and then be right.
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
schema = schemathesis.openapi.from_path(DOCUMENT, config=CONFIG)


def test_the_document_is_valid_openapi():
    validate(yaml.safe_load(DOCUMENT.read_text()))


def test_every_call_of_the_api_is_in_the_document():
    calls = {f"{operation.ok().method.upper()} {operation.ok().path}" for operation in schema.get_all_operations()}
    assert calls == {
        "GET /billing/usage",
        "POST /billing/topup",
        "POST /billing/checkout",
        "GET /billing/checkouts",
        "GET /billing/invoices",
        "GET /billing/auto_recharge",
        "POST /billing/auto_recharge",
    }


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_emulator_keeps_the_contract(case, emulator):
    case.call_and_validate(
        base_url=emulator.base_url, headers={"x-access-token": emulator.api_key}, checks=CHECKS, timeout=10
    )


def test_the_run_above_was_not_in_vain(emulator):
    """Each call was made with good input, with bad input where it takes any, and with a wrong key."""
    statuses: dict[str, set[int]] = {}
    for call in emulator.calls():
        statuses.setdefault(f"{call.method} {call.path}", set()).add(call.status)
    if not statuses:
        pytest.skip("needs the calls of the tests above")
    takes_nothing = {"GET /billing/usage", "GET /billing/auto_recharge"}
    for operation in schema.get_all_operations():
        label = operation.ok().label
        assert {200, 401} | (set() if label in takes_nothing else {400}) <= statuses[label], label
