"""A Variable that is not there, and one that cannot be read."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError
from airflow_provider_videodb.variables import delete_variable, read_variable, write_variable
from tests.support.variables import Variables


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()
    kept.install(monkeypatch)
    return kept


@pytest.mark.usefixtures("variables")
def test_what_is_written_is_read_until_it_is_deleted() -> None:
    assert read_variable("name") is None
    write_variable("name", "value")
    assert read_variable("name") == "value"
    delete_variable("name")
    assert read_variable("name") is None


@pytest.mark.parametrize("error", [ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR])
def test_what_airflow_cannot_tell_is_an_error_that_says_what_to_do(variables: Variables, error: ErrorType) -> None:
    variables.failing = error

    with pytest.raises(VideoDBRecordUnreadableError) as caught:
        read_variable("name")
    assert str(caught.value) == (
        f"Airflow could not read its Variable 'name' ({error.value}), which may say what was bought before. Nothing "
        "was bought. Retry the task."
    )


def test_a_variable_without_a_value_is_not_taken_for_none(variables: Variables) -> None:
    variables.kept["name"] = None  # type: ignore[assignment]  # what Airflow cannot decrypt

    with pytest.raises(VideoDBRecordUnreadableError, match="no value"):
        read_variable("name")
