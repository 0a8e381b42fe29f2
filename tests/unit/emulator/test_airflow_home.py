"""The fixture `videodb_airflow`, used as a user's tests use it."""

from __future__ import annotations

import os
from textwrap import dedent

import pytest

from airflow_provider_videodb.emulator.airflow_home import AirflowRunError

INDEX = dedent(
    """
    from airflow.sdk import dag, task

    from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator


    @task
    def names(params):
        return params["names"]


    @task
    def index(name):
        if name == "broken":
            raise ValueError(name)
        return name.upper()


    @dag(schedule=None, params={"names": ["keynote"]})
    def index_videos():
        gate = EnsureCreditsOperator(task_id="gate", credits=10, poll_interval=0.2)
        gate >> index.expand(name=names())


    index_videos()
    """
)


@pytest.fixture
def index_videos(videodb_airflow):
    (videodb_airflow.dags_folder / "index_videos.py").write_text(INDEX)
    videodb_airflow.emulator.change_settings(pay_after=0.5)
    return videodb_airflow


def test_dag_runs_against_the_emulator(index_videos):
    run = index_videos.run("index_videos")
    assert run.state == "success", run.output
    assert run.states == {"gate": "success", "names": "success", "index[0]": "success"}
    assert run.xcoms["gate"]["return_value"]["balance"] == 10
    assert [checkout.amount for checkout in index_videos.emulator.checkouts()] == [7]
    assert os.environ.get("AIRFLOW_HOME") != str(index_videos.home)


def test_failed_task_is_told_by_its_state(index_videos):
    index_videos.emulator.set_balance(50)
    run = index_videos.run("index_videos", conf={"names": ["keynote", "broken"]})
    assert run.state == "failed"
    assert run.states == {"gate": "success", "names": "success", "index[0]": "success", "index[1]": "failed"}
    assert run.xcoms["index[0]"]["return_value"] == "KEYNOTE"
    assert "ValueError" in run.output


def test_dag_that_cannot_be_imported_is_an_error(videodb_airflow, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport no_such_module\n")
    videodb_airflow.add_dags(broken)
    with pytest.raises(AirflowRunError, match=r"did not run the DAG 'broken'.*(?s:.)*no_such_module"):
        videodb_airflow.run("broken")
