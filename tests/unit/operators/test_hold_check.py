"""The guard lets a job run only while its gate holds credits."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.sdk import BaseOperator, task_group

from airflow_provider_videodb.exceptions import VideoDBNoHoldError, VideoDBRecordUnreadableError
from airflow_provider_videodb.operators._hold_check import check_hold
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.version_compat import AirflowFailException
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag
from tests.support.releases import LOG, Worker, context_of, logger

pytestmark = needs_listed_variables


class Job(BaseOperator):
    log = logger()  # type: ignore[assignment]  # Airflow's has no public constructor


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Worker:
    caplog.set_level(logging.INFO, LOG)
    airflow = Worker()
    airflow.install(monkeypatch)
    return airflow


@pytest.fixture
def job() -> Any:
    with new_dag("parsed"):
        CreditThresholdSensor(task_id="credits", threshold=12, hold=True)
        CreditThresholdSensor(task_id="other", threshold=12, hold=True)
        return Job(task_id="job")


def check(job: Any, *, gate: str = "credits", is_audit: bool = False, **place: Any) -> None:
    check_hold(context_of(job, **place), gate, is_audit=is_audit)


def test_job_runs_on_the_hold_of_its_gate(worker, job, caplog):
    worker.hold(12)
    check(job)
    assert caplog.messages == ["Task credits holds 12 credits for this job."]


@pytest.mark.parametrize("found", ["nothing", "hold of another gate", "waiting gate", "released hold"])
def test_job_without_a_hold_does_not_run(worker, job, caplog, found):
    if found == "hold of another gate":
        worker.hold(task_id="other")
    elif found != "nothing":
        flag = worker.hold()
        text = worker.kept[flag.key]
        if found == "waiting gate":
            del worker.kept[flag.key]
        kind = "w" if found == "waiting gate" else "r"
        worker.kept[flag.key.replace("/h/", f"/{kind}/").replace("1768478400000", "99768478400000")] = text

    with pytest.raises(AirflowFailException, match="holds no credits in this DAG run") as caught:
        check(job)

    assert isinstance(caught.value.__context__, VideoDBNoHoldError)
    assert caught.value.__cause__ is None
    assert all(len(line) <= 75 for line in caplog.messages)
    assert caplog.messages[-1] == "Next step: put this task after task 'credits', or clear both together."


def test_job_that_is_mapped_shares_the_hold_of_its_gate(worker, job):
    worker.hold()
    check(job, map_index=3)


def test_job_of_a_mapped_group_needs_its_own_hold(worker):
    jobs = []
    with new_dag("parsed"):

        @task_group
        def each(number: int) -> None:
            CreditThresholdSensor(task_id="credits", threshold=12, hold=True)
            jobs.append(Job(task_id="job"))

        each.expand(number=[1, 2])
    worker.hold(task_id="each.credits", index=10)

    check(jobs[0], gate="each.credits", map_index=10)
    with pytest.raises(AirflowFailException):
        check(jobs[0], gate="each.credits", map_index=1)


def test_failed_listing_keeps_the_job_from_running(worker, job):
    worker.hold()
    worker.listing = ConnectionError("no API server")
    with pytest.raises(VideoDBRecordUnreadableError, match="no API server"):
        check(job)


def test_deferred_job_that_resumes_runs_on(worker, job, caplog):
    check(job, next_method="execute_complete")
    assert caplog.messages == ["Task credits no longer holds credits.", "This job has begun, so it continues."]


def test_audit_asks_for_nothing(worker, job, caplog):
    check(job, is_audit=True)
    assert worker.asked == []
    assert caplog.messages == ["Audit: with hold=True this job would need credits of task credits."]
