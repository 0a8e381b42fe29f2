"""Where what must survive a task is kept, and what is not taken for kept or for absent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.purchases import stores
from airflow_provider_videodb.purchases.stores import TaskStateStore, VariableStore, open_store, task_identity
from tests.support.airflow_faults import FAULTS, REFUSALS, from_supervisor
from tests.support.compat import has_task_state_store

if TYPE_CHECKING:
    from tests.support.variables import Variables

CONTEXT: Any = {"ti": SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=3)}
WHAT_TO_DO = (
    "What the task did before may be recorded there, so it sent nothing more to VideoDB. Next step: check Airflow's "
    "API server and its database, then retry the task."
)


class Accessor:
    """
    Airflow's task state store, as a task is given it.

    :param is_stale: whether a newer try has begun: its writes are refused, and it reads that nothing is there.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.retention: Any = None
        self.is_stale = False
        self.reading: Exception | None = None
        self.writing: Exception | None = None

    def get(self, key: str) -> Any:
        if self.reading is not None:
            raise self.reading
        return None if self.is_stale else self.kept.get(key)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._refuse()
        self.kept[key], self.retention = value, retention

    def _refuse(self) -> None:
        if self.is_stale:
            raise from_supervisor(404)
        if self.writing is not None:
            raise self.writing


@pytest.fixture
def accessor() -> Accessor:
    return Accessor()


@pytest.mark.parametrize("kind", [pytest.param("airflow's own", marks=has_task_state_store), "variables"])
@pytest.mark.parametrize("value", [{"a": [1]}, {}, [], 0, "", False, "null"], ids=repr)
def test_value_is_kept(variables: Variables, accessor: Accessor, kind: str, value: Any) -> None:
    store = TaskStateStore(accessor) if kind == "airflow's own" else VariableStore(task_identity(CONTEXT))
    assert store.get("name") is None

    store.set("name", value)
    assert store.get("name") == value
    assert store.get("other") is None


@has_task_state_store
class TestTaskStateStore:
    def test_state_store_keeps_a_value_as_long_as_its_run(self, accessor: Accessor) -> None:
        from airflow.sdk import NEVER_EXPIRE

        TaskStateStore(accessor).set("name", "value")
        assert accessor.retention is NEVER_EXPIRE

    @pytest.mark.parametrize("fault", FAULTS, ids=repr)
    def test_state_store_that_cannot_be_read_is_not_empty(self, accessor: Accessor, fault: Exception) -> None:
        accessor.reading = fault

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            TaskStateStore(accessor).get("name")
        assert str(caught.value) == (
            f"Airflow could not read 'name' in the task's state ({str(fault)[:200]}). {WHAT_TO_DO}"
        )
        assert caught.value.__cause__ is fault

    @pytest.mark.parametrize("fault", FAULTS, ids=repr)
    def test_state_store_that_cannot_be_written_has_kept_nothing(self, accessor: Accessor, fault: Exception) -> None:
        accessor.kept, accessor.writing = {"name": "before"}, fault
        store = TaskStateStore(accessor)

        with pytest.raises(VideoDBRecordNotKeptError) as caught:
            store.set("name", "value")
        assert str(caught.value) == (
            f"Airflow could not write 'name' in the task's state ({str(fault)[:200]}). {WHAT_TO_DO}"
        )
        assert caught.value.__cause__ is fault
        assert accessor.kept == {"name": "before"}

    def test_state_store_failure_is_cut_short(self, accessor: Accessor) -> None:
        accessor.reading = RuntimeError("x" * 5000)

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            TaskStateStore(accessor).get("name")
        assert f"({'x' * 200})" in str(caught.value)

    def test_state_store_read_by_a_stale_try_is_not_empty(self, accessor: Accessor) -> None:
        accessor.kept, accessor.is_stale = {"name": "of the newer try"}, True

        with pytest.raises(VideoDBRecordNotKeptError, match="could not write 'videodb_probe'"):
            TaskStateStore(accessor).get("name")

    @pytest.mark.parametrize("shown", [None, "of an earlier probe"])
    def test_state_store_that_loses_its_probe_is_not_empty(
        self, accessor: Accessor, monkeypatch: pytest.MonkeyPatch, shown: Any
    ) -> None:
        monkeypatch.setattr(accessor, "get", {"videodb_probe": shown}.get)

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            TaskStateStore(accessor).get("name")
        assert str(caught.value) == (
            f"Airflow could not read what it just wrote in the task's state (not found). {WHAT_TO_DO}"
        )

    def test_state_store_is_probed_with_a_new_value_for_absence(self, accessor: Accessor) -> None:
        store = TaskStateStore(accessor)
        store.set("name", "value")
        store.get("name")
        assert "videodb_probe" not in accessor.kept

        probes = set()
        for _ in range(3):
            store.get("other")
            probes.add(accessor.kept["videodb_probe"])
        assert len(probes) == 3


class TestVariableStore:
    def test_variables_are_named_after_what_outlives_a_retry(self, variables: Variables) -> None:
        assert task_identity(CONTEXT) == ("dag", "run", "task", "3")
        VariableStore(task_identity(CONTEXT)).set("videodb_purchase", {"a": 1})

        assert list(variables.kept.values()) == ['{"a": 1}']
        assert str(list(variables.kept)).startswith("['videodb_purchase__dag__run__task__3__")

    def test_variables_are_not_shared_by_task_instances(self, variables: Variables) -> None:
        identities = [
            ("dag", "run", "task", "-1"),
            ("dag", "run", "task", "0"),
            ("dag", "run", "task", "1"),
            ("dag", "run", "tas", "k__1"),
            ("dag", "run__task", "1", "-1"),
            *[("d" * 250, "r" * 250, "t" * 250, str(index)) for index in range(20)],
        ]
        for number, identity in enumerate(identities):
            VariableStore(identity).set("name", number)

        assert len(variables.kept) == len(identities)
        assert [VariableStore(identity).get("name") for identity in identities] == list(range(len(identities)))

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "does not hold what the task stored (Expecting value: line 1 column 1 (char 0))"),
            (
                "buy",
                "does not hold what the task stored (Expecting value: line 1 column 1 (char 0))",
            ),
            ("{", "does not hold what the task stored (Expecting property name"),
            ("null", "does not hold what the task stored (null)"),
            (" null ", "does not hold what the task stored ( null )"),
        ],
    )
    def test_variable_without_a_value_is_not_empty(self, variables: Variables, text: str, why: str) -> None:
        store = VariableStore(("dag",))
        variables.kept["name__dag"] = text

        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            store.get("name")
        assert str(caught.value).startswith(f"The Airflow Variable 'name__dag' {why}")
        assert str(caught.value).endswith("restore the Variable's value, or start a new DAG run to buy again.")

    def test_variable_that_airflow_does_not_show_is_not_empty(self, variables: Variables) -> None:
        VariableStore(("dag",)).set("name", "value")
        variables.failing = ErrorType.VARIABLE_NOT_FOUND

        with pytest.raises(VideoDBRecordUnreadableError):
            VariableStore(("dag",)).get("name")

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_variable_that_airflow_does_not_write_is_not_kept(self, variables: Variables, fault: Any) -> None:
        variables.writing = fault
        store = VariableStore(("dag",))

        with pytest.raises(VideoDBRecordNotKeptError):
            store.set("name", "value")


class TestOpenStore:
    @pytest.fixture
    def is_kept_over_a_clear(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stores, "STATE_STORE_OUTLIVES_CLEAR", True)

    @has_task_state_store
    @pytest.mark.parametrize("setting", [None, "False", "false", "0"])
    def test_store_of_a_task_is_that_of_airflow_if_there_is_one(
        self, accessor: Accessor, is_kept_over_a_clear: None, monkeypatch: pytest.MonkeyPatch, setting: str | None
    ) -> None:
        if setting is not None:
            monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", setting)
        store = open_store(CONTEXT | {"task_state_store": accessor})
        store.set("name", "value")

        assert accessor.kept == {"name": "value"}

    @has_task_state_store
    @pytest.mark.parametrize("setting", ["True", "true", "1"])
    def test_store_is_a_variable_if_success_empties_airflows_own(
        self,
        variables: Variables,
        accessor: Accessor,
        is_kept_over_a_clear: None,
        monkeypatch: pytest.MonkeyPatch,
        setting: str,
    ) -> None:
        monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", setting)
        open_store(CONTEXT | {"task_state_store": accessor}).set("name", "value")

        assert "name" not in accessor.kept

    @has_task_state_store
    @pytest.mark.parametrize("rest", [{}, {"task_state_store": None}])
    def test_store_is_a_variable_if_the_task_gets_none(self, is_kept_over_a_clear: None, rest: dict[str, Any]) -> None:
        assert isinstance(open_store(CONTEXT | rest), VariableStore)

    def test_store_is_a_variable_if_a_clear_empties_airflows_own(
        self, variables: Variables, accessor: Accessor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stores, "STATE_STORE_OUTLIVES_CLEAR", False)
        open_store(CONTEXT | {"task_state_store": accessor}).set("name", "value")

        assert "name" not in accessor.kept

    @has_task_state_store
    @pytest.mark.parametrize("outlives_clear", [True, False])
    def test_store_finds_what_an_earlier_try_kept_elsewhere(
        self, variables: Variables, accessor: Accessor, monkeypatch: pytest.MonkeyPatch, outlives_clear: bool
    ) -> None:
        """Airflow was upgraded, or configured anew, while a link was out."""
        monkeypatch.setattr(stores, "STATE_STORE_OUTLIVES_CLEAR", not outlives_clear)
        open_store(CONTEXT | {"task_state_store": accessor}).set("name", "before")
        monkeypatch.setattr(stores, "STATE_STORE_OUTLIVES_CLEAR", outlives_clear)
        store = open_store(CONTEXT | {"task_state_store": accessor})

        assert store.get("name") == "before"
        store.set("name", "after")
        assert store.get("name") == "after"
        assert store.get("other") is None

    def test_store_belongs_to_the_task_instance(self, variables: Variables) -> None:
        open_store(CONTEXT).set("name", "value")

        assert VariableStore(("dag", "run", "task", "3")).get("name") == "value"
