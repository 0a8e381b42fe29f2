"""
Pipelines in each order of events leave automatic recharge as the first one found it.

`tests/support/recharge_model.py` takes the real steps of setups and teardowns. What it cannot make right, it counts:
VideoDB has no compare-and-set, so a write that was decided upon before somebody else's change comes too late.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.holds.rules.recharge import Mark
from airflow_provider_videodb.holds.rules.recharge_pair import join, leave
from airflow_provider_videodb.holds.rules.recharge_steps import ListFlags, Put, ReadSettings, WriteSettings
from tests.support.recharge_model import PERSON, Model, Task, World

if TYPE_CHECKING:
    from collections.abc import Iterator


def explore(pipelines: int = 2, *, vanishes: bool = False, steps: dict[str, Any] | None = None, **world: Any) -> Model:
    return Model(World(tasks=(Task(),) * pipelines, **world), vanishes=vanishes, **steps or {}).explore()


def test_one_pipeline_may_die_twice_anywhere() -> None:
    model = explore(1, deaths=2, vanishes=True)

    assert model.wrong == []
    assert model.counts["ends"] > 50


def test_person_may_change_the_settings_at_any_moment() -> None:
    model = explore(1, deaths=1, vanishes=True, changes=(PERSON,))

    assert model.wrong == []
    # The change fell between the read and the write of a task.
    assert 0 < model.counts["ends with a lost change"] < model.counts["ends"] / 2


@pytest.mark.parametrize(
    "world",
    [
        {"switches": 2},
        {"switches": 1, "deaths": 1, "vanishes": True},
        {"switches": 1, "changes": (PERSON,)},
        {"pipelines": 3, "switches": 0, "deaths": 1},
        {"pipelines": 3, "switches": 1},
    ],
    ids=str,
)
def test_overlapping_pipelines_restore_what_was_found(world: dict[str, Any]) -> None:
    model = explore(**world)

    assert model.wrong == []
    assert model.counts["ends"] > 0
    assert model.counts["writes"] > 100


def blind(steps: Any) -> Iterator[Any]:
    """Believe after a write that nothing has changed since the last listing."""
    result, listed, written = None, None, None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as end:
            return end.value
        if isinstance(step, ReadSettings) and written is not None:
            result = written
        elif isinstance(step, ListFlags) and written is not None:
            result, written = listed, None
        else:
            result = yield step
        if isinstance(step, ListFlags):
            listed = result
        if isinstance(step, WriteSettings):
            written = step.settings


def forgetful(steps: Any) -> Iterator[Any]:
    """Record no settings that another pipeline has found."""
    result = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as end:
            return end.value
        if isinstance(step, Put) and step.flag.mark is Mark.FOUND and step.flag.settings.enabled is False:
            step = Put(replace(step.flag, mark=Mark.APPLIES))
        result = yield step


@pytest.mark.parametrize(
    "steps",
    [
        {"leave": lambda *args: blind(leave(*args))},
        {"join": lambda *args: blind(join(*args))},
        {"join": lambda *args: forgetful(join(*args))},
    ],
    ids=["teardown lists once", "setup lists once", "setup records nothing"],
)
def test_protocol_without_one_of_its_parts_is_found_wrong(steps: dict[str, Any]) -> None:
    assert explore(switches=2, steps=steps).wrong
