"""Records of purchases in Airflow's database, as tasks leave them."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.overview.recorded import TaskName
from airflow_provider_videodb.purchases.claims import claim_variable
from airflow_provider_videodb.purchases.variables import variable_key

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

TASK = TaskName(dag_id="nightly", run_id="manual__1", task_id="buy")
#: Its Variable is named after a hash, so the record does not say whose it is.
HASHED = TaskName(dag_id="n" * 250, run_id="manual__1", task_id="buy")


def put_variable(key: str, text: str) -> None:
    """Write a Variable."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Variable(key=key, val=text))


def words_of(task: TaskName) -> tuple[str, ...]:
    """Return what names a task instance."""
    return task.dag_id, task.run_id, task.task_id, str(task.map_index)


def record_purchase(purchase: Purchase, task: TaskName = TASK) -> None:
    """Record a purchase."""
    record = {"format": 1, "try": "a-try", "purchase": purchase.to_dict()}
    put_variable(variable_key("videodb_purchase", *words_of(task)), json.dumps(record))


def record_claim(checkout_id: str, task: TaskName = TASK) -> None:
    """Record whose checkout it is."""
    put_variable(claim_variable(checkout_id), "/".join(words_of(task)))


def show_checkout(emulator: Emulator, checkout_id: str, *, amount: int = 50, **fields: Any) -> None:
    """Show a checkout that somebody else made just now."""
    entry = {"id": checkout_id, "amount": amount, "currency": "usd", "status": "pending"}
    emulator.add_foreign_checkout(**entry | {"created_at": datetime.now(UTC).isoformat()} | fields)


def resolutions() -> dict[str, str]:
    """Return the resolutions that people wrote."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(Variable).where(Variable.key.startswith("videodb_resolution"))).all()
        return {row.key: row.get_val() for row in rows}  # type: ignore[no-untyped-call]  # Airflow does not type it


def forget_records() -> None:
    """Delete all that the package has recorded: Variables, and in 3.3 the states of tasks."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    models: list[Any] = [Variable]
    with contextlib.suppress(ImportError):  # Airflow 3.2 and older
        from airflow.models.task_state_store import TaskStateStoreModel

        models.append(TaskStateStoreModel)
    with create_session() as session:
        for model in models:
            # SQLAlchemy 1.4 cannot evaluate this condition on the objects of the session.
            gone = delete(model).where(model.key.startswith("videodb"))
            session.execute(gone, execution_options={"synchronize_session": False})
