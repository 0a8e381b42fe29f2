"""What each poll of an Airflow without states in its audit log adds."""

from __future__ import annotations

import pytest

from dev.airflow.states import StateChanges

START, END = "2026-11-26T03:00:00+00:00", "2026-11-26T03:00:05+00:00"


class PolledRun:
    """A run with one task, as Airflow 3.1 shows it."""

    def __init__(self):
        self.state, self.start, self.end = None, None, None

    def tasks(self):
        task = {"task_id": "top_up", "map_index": -1, "state": self.state}
        return [task | {"start_date": self.start, "end_date": self.end}]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr("dev.airflow.states.AUDIT_LOG_HAS_STATES", False)
    return PolledRun()


def seen(changes, run, *, state, start=START, end=None):
    run.state, run.start, run.end = state, start, end
    return [change["event"] for change in changes.poll()]


def test_each_state_is_listed_once(run):
    changes = StateChanges(run)

    assert seen(changes, run, state="queued", start=None) == ["queued"]
    assert seen(changes, run, state="running") == ["queued", "running"]
    assert seen(changes, run, state="deferred")[2:] == ["deferred"]
    assert seen(changes, run, state="deferred")[3:] == []
    assert seen(changes, run, state="running")[3:] == ["running"]
    assert seen(changes, run, state="success", end=END)[4:] == ["success"]


def test_task_that_ended_between_two_polls_has_started(run):
    changes = StateChanges(run)
    seen(changes, run, state="queued", start=None)

    assert seen(changes, run, state="success", end=END) == ["queued", "running", "success"]
    assert [change["when"] for change in changes.poll()[1:]] == [START, END]


def test_start_is_when_airflow_says(run):
    changes = StateChanges(run)
    seen(changes, run, state="running")

    assert changes.poll()[0]["when"] == START
