"""Whose holds a task means, in each shape of DAG."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import task_group

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import holder_of, task_part
from airflow_provider_videodb.operators._gate_holders import GateHolders, holders_of_gate
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag
from tests.support.releases import context_of

pytestmark = needs_listed_variables


def gate_of(task_id: str = "credits") -> CreditThresholdSensor:
    return CreditThresholdSensor(task_id=task_id, threshold=12, hold=True)


def release_of(gate: str, task_id: str = "release") -> ReleaseCreditsOperator:
    return ReleaseCreditsOperator(task_id=task_id, gate=gate)


def found(release: Any, map_index: int = -1) -> GateHolders:
    return holders_of_gate(context_of(release, map_index=map_index), release.gate)


def test_task_of_no_group_means_all_indexes_of_the_gate():
    with new_dag("parsed"):
        gate_of()
        release = release_of("credits")

    holders = found(release)
    assert holders.all == task_part("dag", "run", "credits")
    assert not holders.is_mapped
    assert not holders.shares_group
    assert not holders.pairs


def test_tasks_of_one_mapped_group_share_their_index():
    tasks = []
    with new_dag("parsed"):

        @task_group
        def each(number: int) -> None:
            gate_of()
            tasks.append(release_of("each.credits"))

        each.expand(number=[1, 2])

    holders = found(tasks[0], map_index=1)
    assert holders.same_index == holder_of("dag", "run", "each.credits", 1)
    assert (holders.is_mapped, holders.shares_group, holders.pairs) == (True, True, False)


@pytest.mark.parametrize("place", ["outside", "other"])
def test_tasks_of_two_groups_share_no_index(place):
    tasks = []
    with new_dag("parsed"):
        gate_of()

        @task_group
        def other(number: int) -> None:
            gate_of()

        @task_group
        def each(number: int) -> None:
            tasks.append(release_of("credits" if place == "outside" else "other.credits"))

        other.expand(number=[1, 2])
        each.expand(number=[1, 2])

    holders = found(tasks[0], map_index=1)
    assert (holders.is_mapped, holders.shares_group, holders.pairs) == (True, False, False)


def test_mapped_task_and_mapped_gate_are_a_pair():
    with new_dag("parsed"):
        CreditThresholdSensor.partial(task_id="credits", hold=True).expand(threshold=[5, 6])
        gate_of("one")
        pair, single = release_of("credits"), release_of("one", task_id="single")

    assert found(pair, map_index=1).pairs
    assert not found(pair).pairs
    assert not found(single, map_index=1).pairs


def test_unknown_gate_is_a_mistake():
    with new_dag("parsed"):
        gate_of("group.credits")
        release = release_of("credits")

    with pytest.raises(VideoDBConfigError, match=r"^gate is 'credits', but DAG 'dag' has no such task"):
        found(release)
