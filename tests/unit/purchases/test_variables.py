"""A Variable that does not exist, one that cannot be read, and a write that Airflow refuses."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, InactiveAssetsResult, OKResponse, VariableResult

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.purchases import variables as module
from airflow_provider_videodb.purchases.variables import (
    delete_variable,
    describe_cause,
    read_variable,
    write_variable,
)
from tests.support.airflow_faults import FAULTS, REFUSALS, from_dag_test, from_supervisor
from tests.support.compat import needs_listed_variables
from tests.support.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable


WHAT_TO_DO = (
    "What the task did before may be recorded there, so it sent nothing more to VideoDB. Next step: check Airflow's "
    "API server and its database, then retry the task."
)
#: How absence is proven: by a listing where there is one, else by a Variable that is written and read back.
listing = pytest.param(True, id="3.3", marks=needs_listed_variables)
either_version = pytest.mark.parametrize("variables", [listing, pytest.param(False, id="below 3.3")], indirect=True)
on_3_3 = pytest.mark.parametrize("variables", [listing], indirect=True)
below_3_3 = pytest.mark.parametrize("variables", [pytest.param(False, id="below 3.3")], indirect=True)


@pytest.fixture
def variables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()
    kept.install(monkeypatch)
    if hasattr(request, "param"):
        monkeypatch.setattr(module, "VARIABLES_CAN_BE_LISTED", request.param)
    return kept


def asked(variables: Variables) -> list[str]:
    return [type(question).__name__ for question in variables.asked]


@either_version
def test_value_is_read_until_it_is_deleted(variables: Variables) -> None:
    assert read_variable("name") is None
    write_variable("name", "value")
    assert read_variable("name") == "value"
    delete_variable("name")
    assert read_variable("name") is None
    assert variables.kept == {}


@either_version
@pytest.mark.parametrize("value", ["", "null", " ", "0"])
def test_value_that_looks_empty_is_a_value(variables: Variables, value: str) -> None:
    write_variable("name", value)

    assert read_variable("name") == value


class TestAbsence:
    @pytest.fixture(autouse=True)
    def short_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow_provider_videodb.purchases.variables._KEYS_PER_PAGE", 1000)

    @on_3_3
    def test_absence_is_proven_by_a_listing(self, variables: Variables) -> None:
        variables.kept = {"videodb_checkout__cs_10": "a", "videodb_checkout__cs_1_": "b", "other": "c"}

        assert read_variable("videodb_checkout__cs_1") is None
        assert asked(variables) == ["GetVariable", "GetVariableKeys"]

    @on_3_3
    @pytest.mark.parametrize("others", [0, 999, 1000, 1001, 2500])
    def test_absence_is_proven_by_all_pages_of_a_listing(self, variables: Variables, others: int) -> None:
        variables.kept = {f"name{number:05}": "other" for number in range(others)}

        assert read_variable("name") is None
        pages = [question for question in variables.asked if type(question).__name__ == "GetVariableKeys"]
        assert [page.offset for page in pages] == list(range(0, others + 1, 1000))
        assert {(page.prefix, page.limit) for page in pages} == {("name", 1000)}

    @on_3_3
    @pytest.mark.parametrize("others", [0, 999, 1000, 2500])
    def test_absence_is_not_believed_if_the_listing_shows_it(self, variables: Variables, others: int) -> None:
        # Whatever order a database has, on whichever page it comes.
        variables.kept = {f"NAME{number:05}": "other" for number in range(others)} | {"name": "value"}
        variables.failing = ErrorType.VARIABLE_NOT_FOUND

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            read_variable("name")
        assert str(caught.value) == (
            f"Airflow could not read its Variable 'name' (it exists, but Airflow returned no value). {WHAT_TO_DO}"
        )

    @on_3_3
    @pytest.mark.parametrize(
        "fault", [*REFUSALS, OKResponse(ok=True), InactiveAssetsResult(inactive_assets=[])], ids=repr
    )
    def test_absence_is_not_believed_if_the_listing_fails(self, variables: Variables, fault: Any) -> None:
        variables.listing = fault

        with pytest.raises(VideoDBRecordUnreadableError, match="could not list its Variables 'name'") as caught:
            read_variable("name")
        assert WHAT_TO_DO in str(caught.value)
        assert (caught.value.__cause__ is fault) is isinstance(fault, Exception)

    @below_3_3
    def test_absence_is_proven_by_two_probes(self, variables: Variables) -> None:
        assert read_variable("name") is None

        probe = ["PutVariable", "GetVariable", "DeleteVariable"]
        assert asked(variables) == ["GetVariable", *probe, "GetVariable", *probe]
        first, second = (question for question in variables.asked if type(question).__name__ == "PutVariable")
        assert first.key != second.key
        assert first.value != second.value
        assert re.fullmatch("videodb_probe__[0-9a-f]{32}", first.key)
        assert variables.kept == {}

    @below_3_3
    @pytest.mark.parametrize("readable", [0, 1, 2])
    def test_absence_is_not_believed_if_a_probe_is_unreadable(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch, readable: int
    ) -> None:
        # The first read is that of the Variable itself.
        reads_fail(variables, monkeypatch, lambda nth: nth > readable)

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            read_variable("name")
        assert str(caught.value) == (f"Airflow could not read a Variable that it just wrote (not found). {WHAT_TO_DO}")
        assert variables.kept == {}

    @below_3_3
    def test_absence_is_not_believed_if_a_second_read_finds_it(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        variables.kept["name"] = "value"
        reads_fail(variables, monkeypatch, lambda nth: nth == 0)

        with pytest.raises(VideoDBRecordUnreadableError, match="it exists, but Airflow returned no value"):
            read_variable("name")

    @below_3_3
    def test_absence_is_not_believed_if_a_probe_reads_differently(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        variables.on_write = lambda key, _: variables.kept.update({key: "of a replica that lags"})

        with pytest.raises(VideoDBRecordUnreadableError, match="just wrote"):
            read_variable("name")

    @below_3_3
    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_absence_is_not_believed_if_a_probe_is_not_kept(self, variables: Variables, fault: Any) -> None:
        variables.writing = fault

        with pytest.raises(VideoDBRecordNotKeptError, match="could not write its Variable 'videodb_probe__"):
            read_variable("name")


def reads_fail(variables: Variables, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool]) -> None:
    """Let Airflow say of a Variable that it is not there, at those reads."""
    reads = itertools.count()
    found = variables._read

    def reading(key: str) -> Any:
        return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND) if fails(next(reads)) else found(key)

    monkeypatch.setattr(variables, "_read", reading)


class TestRead:
    @either_version
    @pytest.mark.parametrize("error", [error for error in ErrorType if error is not ErrorType.VARIABLE_NOT_FOUND])
    def test_read_that_fails_says_what_to_do(self, variables: Variables, error: ErrorType) -> None:
        variables.failing = error

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            read_variable("name")
        assert str(caught.value) == f"Airflow could not read its Variable 'name' ({error.value}). {WHAT_TO_DO}"

    @either_version
    @pytest.mark.parametrize("fault", FAULTS, ids=repr)
    def test_read_that_raises_is_not_taken_for_nothing(self, variables: Variables, fault: Exception) -> None:
        variables.failing = fault

        with pytest.raises(VideoDBRecordUnreadableError, match="could not read its Variable 'name'") as caught:
            read_variable("name")
        assert caught.value.__cause__ is fault

    @pytest.mark.parametrize(
        "answer",
        [None, VariableResult(key="name", value=None), OKResponse(ok=True), InactiveAssetsResult(inactive_assets=[])],
        ids=repr,
    )
    def test_response_without_a_value_is_not_taken_for_nothing(
        self, variables: Variables, answer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Airflow cannot decrypt it, or the response is that to another question.
        monkeypatch.setattr(variables, "_read", lambda _: answer)

        with pytest.raises(VideoDBRecordUnreadableError, match=r"could not read its Variable 'name' \(no value\)"):
            read_variable("name")


@pytest.mark.parametrize("fault", [*REFUSALS, OKResponse(ok=False), InactiveAssetsResult(inactive_assets=[])], ids=repr)
@pytest.mark.parametrize(
    ("change", "failure"),
    [
        (lambda: write_variable("name", "value"), "could not write its Variable 'name'"),
        (lambda: delete_variable("name"), "could not delete its Variable 'name'"),
    ],
    ids=["write", "delete"],
)
def test_refused_change_is_not_kept(variables: Variables, fault: Any, change: Callable[[], None], failure: str) -> None:
    variables.kept = {"name": "before"}
    variables.writing = fault

    with pytest.raises(VideoDBRecordNotKeptError) as caught:
        change()
    assert str(caught.value) == f"Airflow {failure} ({describe_cause(fault)}). {WHAT_TO_DO}"
    assert (caught.value.__cause__ is fault) is isinstance(fault, Exception)
    assert variables.kept == {"name": "before"}


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ("not found", "not found"),
        (RuntimeError("x" * 5000), "x" * 200),
        (ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}), "API_SERVER_ERROR"),
        (OKResponse(ok=False), "an unexpected response"),
        (None, "an unexpected response"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_cause_names_no_class_of_airflow(cause: object, text: str) -> None:
    assert describe_cause(cause) == text


def test_cause_in_the_error_is_cut_short(variables: Variables) -> None:
    variables.writing = RuntimeError("x" * 5000)

    with pytest.raises(VideoDBRecordNotKeptError) as caught:
        write_variable("name", "value")
    assert f"({'x' * 200})" in str(caught.value)


@pytest.mark.parametrize("fault", [from_supervisor(500), from_dag_test(500)], ids=repr)
def test_write_uses_the_channel_that_reports_failures(variables: Variables, fault: Exception) -> None:
    """Airflow's own ``Variable.set`` only logs it below 3.3."""
    variables.writing = fault

    with pytest.raises(VideoDBRecordNotKeptError):
        write_variable("name", "value")
    assert asked(variables) == ["PutVariable"]
