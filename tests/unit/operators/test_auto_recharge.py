"""AutoRechargeOperator changes what differs, and reads it back, in real DAG runs."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from tests.support.dag_runs import Run, new_dag, run

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator

pytestmark = pytest.mark.usefixtures("airflow_db")

PATH = "/billing/auto_recharge"


@pytest.fixture(autouse=True)
def _no_retries_in_the_transport(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task retries; the transport does not."""
    connection = emulator.connection | {"extra": json.dumps({"max_retries": 0})}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))


class Recharge:
    """One run of a DAG whose only task is the operator."""

    def __init__(self, *, retries: int = 0, params: dict[str, Any] | None = None, **arguments: Any) -> None:
        self.errors: list[BaseException] = []
        with new_dag("recharge", params=params) as dag:
            AutoRechargeOperator(
                task_id="set",
                retries=retries,
                retry_delay=timedelta(0),
                on_retry_callback=self._note,
                on_failure_callback=self._note,
                **arguments,
            )
        finished: Run = run(dag)
        self.state = finished.task_state("set")
        self.tries = finished.tries("set")
        self.result = finished.result("set")

    def _note(self, context: Any) -> None:
        self.errors.append(context["exception"])


def writes(emulator: Emulator) -> int:
    return len(emulator.calls("POST"))


def stored(emulator: Emulator) -> tuple[bool, Decimal | None, Decimal | None]:
    settings = emulator.auto_recharge
    return settings.enabled, settings.threshold, settings.amount


def settings(*, enabled: bool, threshold: float | None, amount: float | None) -> dict[str, Any]:
    return {"enabled": enabled, "threshold": threshold, "amount": amount}


@pytest.mark.parametrize("dialect", ["openapi", "sample"])
def test_settings_are_read_compared_written_and_read_back(emulator, dialect):
    emulator.change_settings(dialect=dialect)

    done = Recharge(threshold=10, amount="50.5")

    assert done.result == {
        "changed": True,
        "before": settings(enabled=False, threshold=0, amount=0),
        "after": settings(enabled=True, threshold=10, amount=50.5),
    }
    assert stored(emulator) == (True, 10, Decimal("50.5"))
    assert [call.method for call in emulator.calls()] == ["GET", "POST", "GET"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"threshold": 10, "amount": 50},
        {"threshold": "10.0", "amount": 50.0},
        {"threshold": "{{ params.low }}", "amount": "{{ params.more }}"},
        {"amount": 50},
        {},
    ],
    ids=str,
)
def test_equal_settings_are_not_written(emulator, log, wanted):
    emulator.set_auto_recharge(enabled=True, threshold=10, amount=50)
    as_it_was = settings(enabled=True, threshold=10, amount=50)

    done = Recharge(params={"low": 10, "more": 50}, **wanted)

    assert done.result == {"changed": False, "before": as_it_was, "after": as_it_was}
    assert writes(emulator) == 0
    assert "Automatic recharge is on (threshold 10, amount 50 credits)." in log.messages
    assert "Nothing was changed." in log.messages


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ((True, 10, 50), {"threshold": 20}, (True, 20, 50)),
        ((True, 10, 50), {"amount": 60}, (True, 10, 60)),
        ((True, 10, 50), {"enabled": False}, (False, 10, 50)),
        ((True, 10, 50), {"enabled": False, "amount": 60}, (False, 10, 60)),
        ((False, 10, 50), {}, (True, 10, 50)),
        ((False, 10, 50), {"threshold": 20}, (True, 20, 50)),
    ],
)
def test_settings_that_are_not_given_are_kept(emulator, before, wanted, after):
    enabled, threshold, amount = before
    emulator.set_auto_recharge(enabled=enabled, threshold=threshold, amount=amount)

    done = Recharge(**wanted)

    assert done.result["changed"]
    assert stored(emulator) == after
    assert writes(emulator) == 1


def test_disabling_an_unconfigured_account_changes_nothing(emulator):
    assert Recharge(enabled=False).result["changed"] is False
    assert writes(emulator) == 0


@pytest.mark.parametrize("figure", [None, 0])
@pytest.mark.parametrize("wanted", [{}, {"threshold": 10}, {"amount": 50}, {"threshold": 10, "amount": 0}], ids=str)
def test_enabling_without_figures_is_refused(emulator, wanted, figure):
    never_configured = {"enabled": False, "threshold": figure, "amount": figure}
    emulator.add_fault("html", method="GET", body=json.dumps({"success": True, "data": never_configured}))

    refused = Recharge(retries=2, **wanted)

    assert (refused.state, refused.tries) == ("failed", 1)
    assert "cannot be enabled" in str(refused.errors[0])
    assert writes(emulator) == 0


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("threshold", -1),
        ("threshold", "lots"),
        ("threshold", None),
        ("amount", "nan"),
        ("amount", True),
        ("amount", ""),
    ],
    ids=str,
)
def test_wrong_rendered_argument_is_refused_before_sending(emulator, argument, value):
    refused = Recharge(retries=2, params={"value": value}, **{argument: "{{ params.value }}"})

    assert (refused.state, refused.tries) == ("failed", 1)
    assert type(refused.errors[0].__context__).__name__ == "VideoDBConfigError"
    assert argument in str(refused.errors[0])
    assert emulator.calls() == []


def test_missing_connection_is_retried(emulator):
    # Airflow raises the same error if it could not read the connection.
    refused = Recharge(retries=2, videodb_conn_id="nowhere")

    assert (refused.state, refused.tries) == ("failed", 3)
    assert type(refused.errors[0]).__name__ == "VideoDBNoConnectionError"
    assert "videodb_conn_id" in str(refused.errors[0])
    assert emulator.calls() == []


def test_settings_without_effect_are_an_error(emulator):
    emulator.add_fault("html", method="POST", times=None, body='{"success": true, "message": "Updated"}')

    ignored = Recharge(threshold=10, amount=50)

    assert ignored.state == "failed"
    assert type(ignored.errors[0]).__name__ == "VideoDBSettingsNotAppliedError"
    assert "did not apply these settings of automatic recharge: enabled, threshold, amount." in str(ignored.errors[0])


@pytest.mark.parametrize("kind", ["drop_after", "truncated"])
def test_lost_response_to_settings_with_effect_is_a_success(emulator, kind):
    emulator.add_fault(kind, method="POST")

    done = Recharge(threshold=10, amount=50)

    assert done.state == "success"
    assert done.result["changed"]
    assert writes(emulator) == 1


def test_settings_without_effect_are_written_again_by_a_retry(emulator):
    emulator.add_fault("drop_before", method="POST")

    done = Recharge(threshold=10, amount=50, retries=1)

    assert (done.state, done.tries) == ("success", 2)
    assert type(done.errors[0]).__name__ == "VideoDBSettingsNotAppliedError"
    assert writes(emulator) == 2


@pytest.mark.parametrize(("status", "error"), [(401, "VideoDBAuthenticationError"), (403, "VideoDBPermissionError")])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_key_is_not_retried(emulator, method, status, error):
    emulator.add_fault("status", method=method, times=None, status=status)

    refused = Recharge(threshold=10, amount=50, retries=2)

    assert (refused.state, refused.tries) == ("failed", 1)
    assert type(refused.errors[0]).__name__ == "AirflowFailException"
    assert type(refused.errors[0].__context__).__name__ == error
    assert str(status) in str(refused.errors[0])


@pytest.mark.parametrize(("method", "status"), [("GET", 503), ("GET", 429), ("POST", 429), ("POST", 402)])
def test_transient_error_is_retried(emulator, method, status):
    emulator.add_fault("status", method=method, status=status)

    done = Recharge(threshold=10, amount=50, retries=2)

    assert (done.state, done.tries) == ("success", 2)
    assert stored(emulator) == (True, 10, 50)


def test_retry_after_the_write_reports_the_first_settings(emulator):
    emulator.add_fault("status", method="GET", path=PATH, skip=1, status=503)

    done = Recharge(threshold=10, amount=50, retries=1)

    assert (done.state, done.tries, writes(emulator)) == ("success", 2, 1)
    assert done.result == {
        "changed": True,
        "before": settings(enabled=False, threshold=0, amount=0),
        "after": settings(enabled=True, threshold=10, amount=50),
    }


def test_figures_may_come_from_another_task(emulator):
    with new_dag("figures") as dag:

        @task
        def plan() -> dict[str, float]:
            return {"low": 10.5, "more": 50}

        plan = plan()
        AutoRechargeOperator(task_id="set", threshold=plan["low"], amount=plan["more"])

    assert run(dag).state == "success"
    assert stored(emulator) == (True, Decimal("10.5"), 50)


@pytest.mark.parametrize(
    "restore",
    [
        "on",
        {},
        {"before": 1},
        {"before": {"enabled": True}},
        {"before": {"enabled": "yes", "threshold": 1, "amount": 1}},
        {"before": {"enabled": True, "threshold": "low", "amount": 1}},
        {"before": {"enabled": True, "threshold": 1, "amount": -1}},
        [1],
    ],
    ids=str,
)
def test_restore_refuses_anything_but_a_result(emulator, restore):
    with new_dag("restored", params={"value": restore}, render_template_as_native_obj=True) as dag:
        AutoRechargeOperator(task_id="set", restore="{{ params.value }}")

    assert run(dag).task_state("set") == "failed"
    with pytest.raises(VideoDBConfigError, match="restore"):
        AutoRechargeOperator(task_id="set", restore=restore)
    assert emulator.calls() == []


def test_zero_amount_cannot_be_enabled(emulator):
    emulator.set_auto_recharge(enabled=False, threshold=10, amount=50)

    refused = Recharge(threshold=10, amount=0, retries=2)

    assert (refused.state, refused.tries) == ("failed", 1)
    assert str(refused.errors[0]).startswith("amount is 0 credits, so automatic recharge cannot be enabled")
    assert emulator.calls() == []
