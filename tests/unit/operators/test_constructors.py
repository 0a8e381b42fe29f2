"""The constructors refuse wrong literals when a DAG file is parsed."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import BaseNotifier, BaseOperator

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag
from tests.unit.hooks.test_arguments import Int64

REQUIRED: dict[type[BaseOperator], dict[str, Any]] = {
    TopupOperator: {"amount": 50},
    EnsureCreditsOperator: {"credits": 120},
    AutoRechargeOperator: {},
}
OPERATORS = pytest.mark.parametrize("operator", REQUIRED)
PURCHASING_OPERATORS = (TopupOperator, EnsureCreditsOperator)


class Tell(BaseNotifier):
    def notify(self, context: Any) -> None:
        raise NotImplementedError


class WithText(Tell):
    """A notifier with fields for a subject and a text."""

    template_fields = ("subject", "html_content")

    def __init__(self, *, subject: str | None = None, html_content: str | None = None) -> None:
        super().__init__()
        self.subject, self.html_content = subject, html_content


def construct(operator: type[BaseOperator], **arguments: Any) -> Any:
    return operator(**{"task_id": "task"} | REQUIRED[operator] | arguments)


FOR_BUYERS = [
    ("max_amount", [None, "", " ", 12.5, 0, -1, "many", True]),
    ("payment_timeout", [0, -1, 1e15, timedelta.max, timedelta(0), "soon", None, "{{ params.x }}"]),
    ("poll_interval", [0, -1, None, "{{ params.x }}"]),
    ("deferrable", ["False", 0, None, "{{ params.x }}"]),
    ("notifiers", [Tell(), "slack", None, ["slack"], {"a": 1}]),
    ("remind_every", [0, -1, timedelta(0), "daily", "{{ params.x }}"]),
    ("redirect_url", ["x", "ftp://x/y", "javascript:alert(1)", "", 5]),
    ("currency", ["", " ", 5]),
    ("videodb_conn_id", ["", None, 5]),
]
MISTAKES = [
    *((operator, name, value) for operator in PURCHASING_OPERATORS for name, values in FOR_BUYERS for value in values),
    *((TopupOperator, "amount", value) for value in [12.5, 0, -5, "many", "", None, True, "12.50", [5], object()]),
    *((TopupOperator, "only_if_below", value) for value in [-5, "low", "", " ", None, True]),
    *((TopupOperator, "wait_for_payment", value) for value in ["False", 0, None]),
    *((EnsureCreditsOperator, "credits", value) for value in [-5, "lots", "", None, True]),
    *((EnsureCreditsOperator, "usd_per_credit", value) for value in [0, -1, "cheap", None]),
    *((EnsureCreditsOperator, "min_amount", value) for value in [0.5, 0, None]),
    *((EnsureCreditsOperator, "topup", value) for value in ["False", 0, None]),
    *((EnsureCreditsOperator, "settle_timeout", value) for value in [0, timedelta(-1), None]),
    *((EnsureCreditsOperator, "hold", value) for value in ["yes", 1, None, "{{ params.x }}"]),
    *((EnsureCreditsOperator, "respect_holds", value) for value in ["False", 0, None]),
    *((EnsureCreditsOperator, "priority", value) for value in [1.5, "high", None, True, 1_000_001]),
    *((AutoRechargeOperator, "enabled", value) for value in ["False", 0, None]),
    *((AutoRechargeOperator, "threshold", value) for value in [-5, "low", "", " ", None]),
    *((AutoRechargeOperator, "amount", value) for value in [-5, "much", "", None]),
    *((AutoRechargeOperator, "restore", value) for value in [None, "", "on", {}, {"before": 1}, [1]]),
    *((AutoRechargeOperator, "videodb_conn_id", value) for value in ["", None]),
]


@pytest.mark.parametrize(("operator", "name", "value"), MISTAKES)
def test_wrong_literal_fails_at_parse_time(operator: type[BaseOperator], name: str, value: Any) -> None:
    with pytest.raises(VideoDBConfigError, match=rf"^{name}( was given|: | is .*must be)"), new_dag("parsed"):
        construct(operator, **{name: value})


@pytest.mark.parametrize(
    ("operator", "name"), [(operator, name) for operator in REQUIRED for name in operator.template_fields]
)
def test_templates_and_xcom_args_are_not_checked(operator: type[BaseOperator], name: str) -> None:
    with new_dag("parsed") as dag:
        earlier = AutoRechargeOperator(task_id="earlier")
        assert construct(operator, task_id="text", **{name: "{{ params.x }}"})
        assert construct(operator, task_id="xcom", **{name: earlier.output})
        assert construct(operator, task_id="param", **{name: dag.param("x", default=1)})


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (TopupOperator, {"amount": Int64(50), "only_if_below": Int64(5), "max_amount": "60"}),
        (EnsureCreditsOperator, {"credits": "100.5", "usd_per_credit": "0.015", "payment_timeout": Int64(60)}),
        (EnsureCreditsOperator, {"currency": None, "redirect_url": None, "notifiers": [Tell()]}),
        (AutoRechargeOperator, {"enabled": False, "threshold": 0, "amount": "50.5"}),
        (AutoRechargeOperator, {"restore": {"before": {"enabled": True, "threshold": 5, "amount": None}}}),
    ],
)
def test_right_literals_are_kept_as_given(operator: type[BaseOperator], arguments: dict[str, Any]) -> None:
    task = construct(operator, **arguments)
    assert {name: getattr(task, name) for name in arguments} == arguments


@OPERATORS
def test_template_field_that_is_not_given_is_none(operator: type[BaseOperator]) -> None:
    """Airflow would serialize a sentinel in a template field with the DAG."""
    task = construct(operator)
    optional = {name for name, parameter in parameters(operator).items() if "NOT_GIVEN" in str(parameter.default)}
    not_given = optional & set(operator.template_fields)
    assert not_given
    assert {getattr(task, name) for name in not_given} == {None}


@OPERATORS
def test_subclass_may_set_its_own_template_field_later(operator: type[BaseOperator]) -> None:
    class Reported(operator):  # type: ignore[misc, valid-type]  # a class is a value here
        template_fields = (*operator.template_fields, "report_to")

        def __init__(self, *, report_to: str | None, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.report_to = report_to

    with new_dag("parsed", default_args={"videodb_conn_id": "theirs"}):
        assert Reported(task_id="task", report_to="{{ ds }}", **REQUIRED[operator]).videodb_conn_id == "theirs"
        assert Reported(task_id="nobody", report_to=None, **REQUIRED[operator]).report_to is None


@OPERATORS
def test_documented_arguments_match_the_signature(operator: type[BaseOperator]) -> None:
    documented = re.findall(r"^ *:param (\w+):", operator.__doc__ or "", flags=re.MULTILINE)
    explicit = parameters(operator)

    assert sorted(documented) == sorted(explicit)
    assert {parameter.kind for parameter in explicit.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert set(operator.template_fields) <= set(explicit)


@OPERATORS
def test_templated_arguments_are_documented_as_templated(operator: type[BaseOperator]) -> None:
    entries = re.split(r"^ *:param ", operator.__doc__ or "", flags=re.MULTILINE)[1:]
    templated = {entry.split(":")[0] for entry in entries if "(templated)" in entry}
    assert templated == set(operator.template_fields)


def test_purchasing_operators_share_arguments_and_defaults() -> None:
    topup, ensure = (parameters(operator) for operator in PURCHASING_OPERATORS)
    common = topup.keys() & ensure.keys()
    assert len(common) == 12
    assert {name: topup[name].default for name in common} == {name: ensure[name].default for name in common}


def parameters(operator: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """Return the arguments that the operator itself adds to Airflow's."""
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(operator.__init__).parameters.values()
    return {
        parameter.name: parameter for parameter in found if parameter.kind not in variadic and parameter.name != "self"
    }


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ({"threshold": 5}, "threshold"),
        ({"amount": "{{ params.amount }}"}, "amount"),
        ({"enabled": True}, "enabled"),
        ({"enabled": False, "threshold": 5, "amount": 25}, "enabled, threshold, amount"),
    ],
    ids=str,
)
def test_restore_excludes_settings_of_the_same_task(others: dict[str, Any], names: str) -> None:
    with new_dag("both"):
        on = AutoRechargeOperator(task_id="on", threshold=20, amount=100)
        with pytest.raises(VideoDBConfigError, match=f"restore was given together with {names}, .* Next step: remove"):
            AutoRechargeOperator(task_id="back", restore=on.output, **others)


@pytest.mark.parametrize("operator", PURCHASING_OPERATORS)
@pytest.mark.parametrize("notifiers", [[], [Tell()]], ids=len)
def test_reminders_need_a_notifier_that_can_remind(operator: type[BaseOperator], notifiers: list[BaseNotifier]) -> None:
    with pytest.raises(VideoDBConfigError, match=r"^remind_every is 60, but no notifier is a PaymentRequestNotifier"):
        construct(operator, remind_every=60, notifiers=notifiers)
    construct(operator, remind_every=60, notifiers=[*notifiers, PaymentRequestNotifier(WithText())])


@needs_listed_variables
def test_hold_cannot_ignore_the_holds_of_others() -> None:
    with pytest.raises(VideoDBConfigError, match=r"^hold is True together with respect_holds=False.*Next step: "):
        construct(EnsureCreditsOperator, hold=True, respect_holds=False)
    assert construct(EnsureCreditsOperator, hold="audit", respect_holds=False).hold == "audit"
