"""Responses of an Airflow that cannot serve a worker, each of a kind that was seen."""

from __future__ import annotations

import httpx
from airflow.sdk.api.client import ServerResponseError
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse


def from_supervisor(status: int | None) -> AirflowRuntimeError:
    """Return what a real supervisor raises in the task for a status, or for an API server that is gone (``None``)."""
    detail = {"status_code": status, "message": "Server returned error", "detail": {"detail": {"reason": "a reason"}}}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def from_dag_test(status: int) -> ServerResponseError:
    """Return what ``dag.test()`` raises in the task: the exception of the HTTP client itself."""
    request = httpx.Request("GET", "http://in-process.invalid/")
    return ServerResponseError("Server returned error", request=request, response=httpx.Response(status))


#: Airflow could not do what it was asked to: exceptions that are raised, and responses.
REFUSALS = [
    from_supervisor(500),
    from_supervisor(None),
    from_dag_test(500),
    from_dag_test(503),
    httpx.ConnectError("[Errno 111] Connection refused"),
    ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}),
    ErrorResponse(error=ErrorType.GENERIC_ERROR),
]
#: Those of them that are raised.
FAULTS = [refusal for refusal in REFUSALS if isinstance(refusal, Exception)]
