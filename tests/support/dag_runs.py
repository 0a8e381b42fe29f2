"""Run a DAG in the test process with `dag.test()` on SQLite."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.compat import SerializedDAG, callbacks_know_the_exception, dates_of_reschedules, one_api_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

_BUNDLE = "dags-folder"


@dataclass(frozen=True)
class Run:
    """One finished DAG run."""

    dag_run: DagRun

    @property
    def state(self) -> str:
        return str(self.dag_run.state)

    def task_state(self, task_id: str) -> str:
        return str(self._task_instance(task_id).state)

    def tries(self, task_id: str) -> int:
        return int(self._task_instance(task_id).try_number)

    def result(self, task_id: str, key: str = "return_value") -> Any:
        return self._task_instance(task_id).xcom_pull(task_ids=task_id, key=key)

    def _task_instance(self, task_id: str) -> Any:
        return next(ti for ti in self.dag_run.get_task_instances() if ti.task_id == task_id)


@contextmanager
def new_dag(dag_id: str, **kwargs: Any) -> Iterator[DAG]:
    from airflow.sdk import DAG

    with DAG(dag_id, schedule=None, **kwargs) as dag:
        yield dag


def run(dag: DAG, **kwargs: Any) -> Run:
    """Store the DAG, and run it to its end."""
    store(dag)
    with callbacks_know_the_exception(), dates_of_reschedules(), one_api_server():
        return Run(dag.test(**kwargs))


def store(dag: DAG) -> None:
    """Store the DAG as the DAG processor does."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    serialized = LazyDeserializedDAG.from_dag(dag)
    with create_session() as session:
        if session.get(DagBundleModel, _BUNDLE) is None:
            session.add(DagBundleModel(name=_BUNDLE))
            session.flush()
        SerializedDAG.bulk_write_to_db(_BUNDLE, None, [serialized], session=session)
        SerializedDagModel.write_dag(serialized, bundle_name=_BUNDLE, session=session)
