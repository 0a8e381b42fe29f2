"""What a real Airflow tells a try after each change of its row."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.purchases.current_try import CurrentTry
from tests.support.dag_runs import new_dag, run


def said_after(context: Any, **columns: Any) -> str:
    """Change the row of the running task, ask Airflow about its try, and change the row back."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select, update

    own = context["ti"]
    this_try = CurrentTry(own, is_stopped=lambda: False)
    place = (TaskInstance.run_id == own.run_id, TaskInstance.task_id == own.task_id)

    def change(**values: Any) -> None:
        with create_session() as session:
            if "id" in values:
                # Airflow 3.1 keeps it as text.
                kept = session.scalars(select(TaskInstance.id).limit(1)).one()
                values["id"] = type(kept)(str(values["id"]))
            rows = update(TaskInstance).where(*place, TaskInstance.map_index == own.map_index).values(values)
            # SQLAlchemy 1.4 cannot evaluate this condition on the objects of the session.
            session.execute(rows, execution_options={"synchronize_session": False})

    change(**columns)
    try:
        this_try.check()
    except VideoDBError as err:
        return type(err).__name__
    finally:
        change(id=own.id, state="running")
    return "go on"


def test_real_airflow_ends_a_try_after_each_change(airflow_db: None) -> None:
    """Each thing that can be done to a running task, on its own row of a real database."""
    said: dict[str, str] = {}

    def asks(number: int, **context: Any) -> None:
        said[f"{number}: running"] = said_after(context)
        said[f"{number}: marked failed"] = said_after(context, state="failed")
        said[f"{number}: marked success"] = said_after(context, state="success")
        said[f"{number}: cleared"] = said_after(context, state=None)
        said[f"{number}: replaced"] = said_after(context, id=UUID(int=number + 1))

    from airflow.sdk import task

    with new_dag("current_try") as dag:
        task(task_id="one")(asks)(number=0)
        task(task_id="mapped")(asks).expand(number=[1, 2])
    assert run(dag).state == "success"

    over = "VideoDBTryOverError"
    assert said == {
        f"{number}: {what}": "go on" if what == "running" else over
        for number in range(3)
        for what in ("running", "marked failed", "marked success", "cleared", "replaced")
    }
