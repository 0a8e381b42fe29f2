"""Below Airflow 3.3 there is no task state store: the rows that touch the journal, kept in Airflow Variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dags import test_failure_matrix as matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Bought, Person

ROWS = [row for row in matrix.ROWS if row.write or (row.dies and row.back == "retry")]


@pytest.fixture(autouse=True)
def older_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.journal.AIRFLOW_V_3_3_PLUS", False)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_one_purchase(
    row: matrix.Row, person: Person, emulator: Emulator, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = matrix.told(row, person, connect, monkeypatch)

    assert matrix.end_of(bought, person) == row.end
    # It is kept for a user who clears the task, which must not buy again.
    assert kept_in_variable(bought)["paid"] == [bought.result["checkout_id"]]


def kept_in_variable(bought: Bought) -> Any:
    from airflow.models.variable import Variable

    return Variable.get(f"videodb_purchase__shopping__{bought.run.dag_run.run_id}__buy__-1", deserialize_json=True)
