"""Bridge the differences of older Airflow versions for tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR, VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_task_state_store = pytest.mark.skipif(
    not STATE_STORE_OUTLIVES_CLEAR, reason="the task state store of this Airflow does not outlive a clear"
)
needs_listed_variables = pytest.mark.skipif(
    not VARIABLES_CAN_BE_LISTED, reason="a task of this Airflow cannot list Variables, so no gate can hold credits"
)


def serialized_dag() -> Any:
    """Return the class of a serialized DAG."""
    try:
        from airflow.serialization.definitions.dag import SerializedDAG
    except ImportError:  # Airflow 3.1
        from airflow.serialization.serialized_objects import SerializedDAG
    return SerializedDAG


@contextmanager
def callbacks_know_the_exception() -> Iterator[None]:
    """Make `dag.test()` pass the exception to callbacks, as a worker does."""
    from airflow.sdk.execution_time import task_runner

    finalize = task_runner.finalize

    def finalize_knowing(ti: Any, state: Any, context: Any, log: Any, error: BaseException | None = None) -> None:
        if error is not None:
            context.setdefault("exception", error)
        finalize(ti, state, context, log, error)

    with patch.object(task_runner, "finalize", finalize_knowing):
        yield
