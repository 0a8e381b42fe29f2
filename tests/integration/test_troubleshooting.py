"""Provoke errors, and look up the first line that the task's log prints."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.holding_dags import gate_of, job_of
from tests.support.purchases import USAGE, PurchaseRuns, id_of
from tests.support.troubleshooting import entries_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


@pytest.fixture
def first_error(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return a function that reads the first error line of the log."""

    def first_error() -> str:
        out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        return str(re.findall(r"\[error *\] (.+?) *(?:\[airflow\..*)?$", out, re.MULTILINE)[0])

    return first_error


#: What an `AutoRechargeOperator` returns.
RESULT = {"before": {"enabled": False, "threshold": 5, "amount": 25}}


def assert_found(line: str, entry: str) -> None:
    """Look a printed line up. A person chooses among few entries."""
    found = entries_for(line)
    assert any(one.startswith(entry) for one in found), f"{line!r} finds {found}"
    assert len(found) <= 5, f"{line!r} finds {found}"


@pytest.mark.parametrize(
    ("field", "value", "entry"),
    [
        ("password", "sk-revoked", "CALL failed (HTTP 401)."),
        ("password", "", "Connection 'CONN_ID' has no password."),
        ("password", "sk test", "The API key (the connection's password) is empty"),
        ("conn_type", "http", "Connection 'CONN_ID' has the type"),
        ("host", "http://videodb.example", "Connection 'CONN_ID' has an unusable host."),
        ("host", "http://127.0.0.1:9", "CALL was not sent, because REASON."),
        ("extra", {"max_topup": 5}, "Connection 'CONN_ID': the extra has the unknown field"),
        ("extra", {"timeout": -1}, "Connection 'CONN_ID': FIELD in the extra is VALUE"),
        ("extra", {"credit_account": " "}, "Connection 'CONN_ID': FIELD in the extra is VALUE"),
        ("extra", {"max_topup_amount": 10}, "AMOUNT USD is more than PLACE allows for one purchase"),
        ("extra", {"monthly_topup_limit": 10}, "AMOUNT USD more would make TOTAL USD this month"),
    ],
)
def test_error_of_the_connection_is_found(
    person: Person,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    first_error: Callable[[], str],
    *,
    field: str,
    value: Any,
    entry: str,
) -> None:
    connection: dict[str, Any] = {**emulator.connection, "extra": {"max_retries": 0}} | {field: value}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))

    assert PurchaseRuns(amount=50).run().state == "failed"
    assert_found(first_error(), entry)


def nobody_pays(person: Person) -> None:
    person.while_waiting = lambda: None


def checkout_expires(person: Person) -> None:
    person.while_waiting = person.expires


def list_is_empty(person: Person) -> None:
    person.while_waiting = lambda: person.emulator.hide_checkout(id_of(person.links[-1]))


def videodb_is_down(person: Person) -> None:
    person.emulator.add_fault("status", path=USAGE, status=503, times=None)


def proxy_responds(person: Person) -> None:
    person.emulator.add_fault("html", path=USAGE, times=None)


def videodb_redirects(person: Person) -> None:
    person.emulator.add_fault("redirect", path=USAGE, location="https://login.example", times=None)


@pytest.mark.parametrize(
    ("happens", "arguments", "entry"),
    [
        (nobody_pays, {"amount": 50, "payment_timeout": 0.2}, "Nobody paid checkout CHECKOUT_ID"),
        (checkout_expires, {"amount": 50}, "Checkout CHECKOUT_ID for PRICE expired unpaid"),
        (list_is_empty, {"amount": 50}, "Checkout CHECKOUT_ID for PRICE is not in VideoDB's list"),
        (videodb_is_down, {"amount": 50}, "CALL failed (HTTP 503)."),
        (proxy_responds, {"amount": 50}, "CALL returned HTTP 200 with SIZE bytes"),
        (videodb_redirects, {"amount": 50}, "CALL was redirected to ADDRESS"),
        (nobody_pays, {"amount": "{{ 'many' }}"}, "ARGUMENT is VALUE; it must be"),
        (nobody_pays, {"amount": 50, "max_amount": "{{ '' }}"}, "ARGUMENT is VALUE; it must be"),
        (nobody_pays, {"amount": 50, "videodb_conn_id": "nowhere"}, "Airflow has no connection 'CONN_ID'"),
        (
            nobody_pays,
            {"operator": "EnsureCreditsOperator", "credits": 9, "topup": False, "payment_timeout": 0.2},
            "The balance is BALANCE of CREDITS credits after DURATION (payment_timeout).",
        ),
    ],
)
def test_error_of_a_purchase_is_found(
    person: Person,
    connect: Callable[..., None],
    first_error: Callable[[], str],
    *,
    happens: Callable[[Person], None],
    arguments: dict[str, Any],
    entry: str,
) -> None:
    connect(max_retries=0)
    happens(person)

    assert PurchaseRuns(**arguments).run().state == "failed"
    assert_found(first_error(), entry)


def gate_too_high() -> None:
    gate_of(100, hold=False, timeout=0.2)


def gate_behind_another() -> None:
    gate_of(12) >> gate_of(12, "second", timeout=0.2)


def job_without_its_gate() -> None:
    gate = gate_of(2)
    job_of(pre_execute=gate.require_hold()) >> gate


def release_of_no_task() -> None:
    ReleaseCreditsOperator(task_id="release", gate="nowhere")


def release_of_a_wrong_figure() -> None:
    gate = gate_of(2)
    gate >> ReleaseCreditsOperator(task_id="release", gate=gate, spent="{{ 'many' }}")


def recharge_of_nothing() -> None:
    AutoRechargeOperator(task_id="recharge", amount="{{ 0 }}")


@pytest.mark.parametrize(
    ("tasks", "entry"),
    [
        (gate_too_high, "The credit balance did not reach THRESHOLD credits"),
        pytest.param(gate_behind_another, "The gate did not open within DURATION", marks=needs_listed_variables),
        pytest.param(
            job_without_its_gate, "Task 'GATE_ID' holds no credits in this DAG run.", marks=needs_listed_variables
        ),
        pytest.param(
            release_of_no_task, "gate is 'TASK_ID', but DAG DAG_ID has no such task.", marks=needs_listed_variables
        ),
        pytest.param(release_of_a_wrong_figure, "spent is VALUE; it must be", marks=needs_listed_variables),
        (recharge_of_nothing, "amount is 0 credits"),
    ],
)
def test_error_of_a_gate_or_setting_is_found(
    holding_account: Emulator, first_error: Callable[[], str], *, tasks: Callable[[], None], entry: str
) -> None:
    holding_account.set_balance(15)
    with new_dag(f"provokes_{tasks.__name__}") as dag:
        tasks()

    assert run(dag).state == "failed"
    assert_found(first_error(), entry)


@pytest.mark.parametrize(
    ("construct", "entry"),
    [
        (lambda: TopupOperator(task_id="a", amount=1.5), "ARGUMENT is VALUE; it must be"),
        (lambda: TopupOperator(task_id="a", amount=5, max_amount=None), "ARGUMENT was given to the task"),  # type: ignore[arg-type]  # the mistake of this test
        (lambda: CreditThresholdSensor(task_id="a", threshold=1).held(), "Task 'TASK_ID' holds no credits, so METHOD"),
        (
            lambda: AutoRechargeOperator(task_id="a", restore=RESULT, amount=5),
            "restore was given together with ARGUMENTS",
        ),
    ],
)
def test_dag_import_error_is_found(construct: Callable[[], object], entry: str) -> None:
    with pytest.raises(VideoDBConfigError) as caught:
        construct()
    assert_found(str(caught.value).partition(". ")[0], entry)
