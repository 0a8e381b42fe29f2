"""The emulator obeys `videodb-billing.openapi.yaml` for generated requests."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings, strategies
from openapi_spec_validator import validate
from schemathesis import GenerationMode
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
    with Emulator(credits=1000, pay_after=0, api_key="sk-contract") as running:
        # Without stored amounts the emulator refuses a valid request that only enables auto-recharge.
        running.set_auto_recharge(threshold=10, amount=50)
        running.charge("1.25", "index_scenes")
        yield running


# The test adds the right key to every request. A generated key would count as a wrong parameter.
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
schema = schemathesis.openapi.from_path(DOCUMENT, config=CONFIG)
OPERATIONS = {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}


def test_document_is_valid_openapi():
    validate(yaml.safe_load(DOCUMENT.read_text()))


def test_document_has_every_billing_call():
    assert set(OPERATIONS) == {
        "GET /billing/usage",
        "POST /billing/topup",
        "POST /billing/checkout",
        "GET /billing/checkouts",
        "GET /billing/invoices",
        "GET /billing/auto_recharge",
        "POST /billing/auto_recharge",
    }


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_emulator_obeys_the_document(operation, emulator):
    """With its own parametrization, schemathesis gives all operations one test id, and pytest-xdist runs only one."""

    @given(case=strategies.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def obeys(case):
        case.call_and_validate(
            base_url=emulator.base_url, headers={"x-access-token": emulator.api_key}, checks=CHECKS, timeout=10
        )

    obeys()


def test_generated_requests_had_good_and_bad_input(emulator):
    """Every call was made with good input, bad input and a wrong key."""
    statuses: dict[str, set[int]] = {}
    for call in emulator.calls():
        statuses.setdefault(f"{call.method} {call.path}", set()).add(call.status)
    if not statuses:
        pytest.skip("needs the calls of test_emulator_obeys_the_document")
    without_input = {"GET /billing/usage", "GET /billing/auto_recharge"}
    for label in OPERATIONS:
        assert {200, 401} | (set() if label in without_input else {400}) <= statuses[label], label
