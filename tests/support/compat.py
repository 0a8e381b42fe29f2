"""Bridge the differences of older Airflow versions for tests: names that moved, and what a version lacks."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from airflow import __version__ as airflow_version
from airflow import sdk
from airflow.providers_manager import ProvidersManager
from packaging.version import Version

from airflow_provider_videodb.version_compat import (
    RESPONSES_RESUME_TASKS,
    STATE_STORE_OUTLIVES_CLEAR,
    VARIABLES_CAN_BE_LISTED,
)

try:
    from airflow.executors.workloads import RunTrigger, TaskInstanceDTO
    from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
    from airflow.sdk._shared.observability.metrics.validators import stat_name_default_handler
    from airflow.sdk.log import redact
    from airflow.sdk.serde import deserialize, serialize
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import DagSerialization, OperatorSerialization
except ImportError:  # Airflow 3.1
    from airflow.executors.workloads import RunTrigger
    from airflow.executors.workloads import TaskInstance as TaskInstanceDTO
    from airflow.metrics.otel_logger import SafeOtelLogger
    from airflow.metrics.validators import stat_name_default_handler
    from airflow.sdk._shared.secrets_masker import redact
    from airflow.serialization.serde import deserialize, serialize
    from airflow.serialization.serialized_objects import SerializedBaseOperator as OperatorSerialization
    from airflow.serialization.serialized_objects import SerializedDAG
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FORM_IMPORTS_NO_HOOK",
    "LINKS_OPEN_A_TAB",
    "DagSerialization",
    "OperatorSerialization",
    "RunTrigger",
    "SafeOtelLogger",
    "SerializedDAG",
    "TaskInstanceDTO",
    "callbacks_know_the_exception",
    "dates_of_reschedules",
    "deserialize",
    "has_task_state_store",
    "needs_cleared_runs",
    "needs_form_fields",
    "needs_form_with_json",
    "needs_listed_variables",
    "needs_never_fail_after_a_wait",
    "needs_provider_commands",
    "needs_responses_that_resume",
    "needs_retry_policies",
    "needs_start_in_triggerer",
    "needs_task_state_store",
    "needs_test_of_stored_connections",
    "one_api_server",
    "redact",
    "run_trigger",
    "serialize",
    "stat_name_default_handler",
]

has_task_state_store = pytest.mark.skipif(
    not hasattr(sdk, "NEVER_EXPIRE"), reason="this Airflow has no task state store"
)
needs_task_state_store = pytest.mark.skipif(
    not STATE_STORE_OUTLIVES_CLEAR, reason="the task state store of this Airflow does not outlive a clear"
)
needs_listed_variables = pytest.mark.skipif(
    not VARIABLES_CAN_BE_LISTED, reason="a task of this Airflow cannot list Variables"
)
needs_retry_policies = pytest.mark.skipif(not hasattr(sdk, "RetryPolicy"), reason="this Airflow has no retry policies")
needs_provider_commands = pytest.mark.skipif(
    not hasattr(ProvidersManager, "initialize_providers_cli_command"),
    reason="the `airflow` command of this version knows no commands of providers",
)
needs_responses_that_resume = pytest.mark.skipif(
    not RESPONSES_RESUME_TASKS, reason="this Airflow leaves the response of a person to the trigger's next poll"
)
needs_test_of_stored_connections = pytest.mark.skipif(
    Version(airflow_version) < Version("3.1.8"),
    reason="`airflow connections test` of this version reads no connection from the database",
)
_FORM_HAS_FIELDS = Version(airflow_version) >= Version("3.2")
#: Airflow 3.2 imports each hook for its form, although the provider declares the fields.
FORM_IMPORTS_NO_HOOK = Version(airflow_version) >= Version("3.3")
#: Before Airflow 3.3, a link in the text of a request replaces Airflow's page.
LINKS_OPEN_A_TAB = Version(airflow_version) >= Version("3.3")
needs_form_fields = pytest.mark.skipif(
    not _FORM_HAS_FIELDS, reason="the connection form of this Airflow takes the extra as JSON, without fields"
)
needs_form_with_json = pytest.mark.skipif(
    _FORM_HAS_FIELDS, reason="the connection form of this Airflow has fields for the extra"
)
needs_never_fail_after_a_wait = pytest.mark.skipif(
    Version(airflow_version) < Version("3.1.8"), reason="this Airflow ignores never_fail after a wait in the triggerer"
)
needs_cleared_runs = pytest.mark.skipif(
    not VARIABLES_CAN_BE_LISTED, reason="dag.test() of this Airflow does not go on with a task cleared while it ran"
)
needs_start_in_triggerer = pytest.mark.skipif(
    "dag_data" not in RunTrigger.model_fields, reason="this Airflow starts every task in a worker"
)


def run_trigger(**fields: Any) -> RunTrigger:
    """Return the workload of a trigger. Before Airflow 3.3 the task instance has no default."""
    return RunTrigger(**{"ti": None} | fields)


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


@contextmanager
def dates_of_reschedules() -> Iterator[None]:
    """Make `dag.test()` tell a rescheduled sensor its start as a date. Without this it is text in Airflow 3.1.3."""
    from airflow.sdk.execution_time.comms import TaskRescheduleStartDate

    with patch.object(TaskRescheduleStartDate, "model_construct", TaskRescheduleStartDate):
        yield


@contextmanager
def one_api_server() -> Iterator[None]:
    """
    Make `dag.test()` build its API server once, as Airflow 3.3 does.

    An older Airflow builds one for each try of each task, which takes seconds.
    """
    from airflow.sdk.execution_time import supervisor

    with patch.object(supervisor, "in_process_api_server", _api_server):
        yield


@functools.cache
def _api_server() -> Any:
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI

    return InProcessExecutionAPI()
