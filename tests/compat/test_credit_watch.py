"""
What a credit watcher of a released version stored, read by this one.

The files are never changed. A trigger with other arguments is another trigger to Airflow, and a watch that cannot read
its memory tells nothing.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from airflow_provider_videodb.assets.credits import credits_low
from airflow_provider_videodb.triggers._credit_levels import Kind, Level, Line, Sample, Watched, advance
from airflow_provider_videodb.triggers.credit_watch import CreditWatchTrigger

STORED = Path(__file__).parent / "credit_watch"


def stored(name):
    return json.loads((STORED / name).read_text())


def test_stored_trigger_is_that_of_the_same_asset():
    found = stored("trigger.json")
    (watcher,) = credits_low(below=200).watchers
    expected = (found["classpath"], found["kwargs"])
    assert CreditWatchTrigger(**found["kwargs"], of_a_newer_version=1).serialize() == expected
    assert watcher.trigger.serialize() == expected


def test_stored_memory_is_read_with_fields_of_a_newer_version():
    text = json.dumps(stored("memory.json") | {"of_a_newer_version": [1]})
    watched = Watched.from_json(text)
    assert watched.level is Level.WARNING
    assert json.loads(watched.to_json()) == stored("memory.json")


def test_stored_memory_tells_the_low_after_its_warning():
    watched = Watched.from_json((STORED / "memory.json").read_text())
    line = Line.parse(below=200, back_at=None, warn_hours=4)
    now = Sample(1_790_007_200.0, Decimal(100))
    after = advance(watched, now, line, kind=Kind.LOW, account=watched.account, conn_id="videodb_default")
    assert after.unsent["level"] == "low"
    assert after.unsent.keys() == stored("memory.json")["unsent"].keys()


def test_argument_of_another_version_is_ignored():
    kwargs = {"name": "low", "kind": "low", "below": 200, "back_at": 220, "warn_hours": None}
    wait = {"videodb_conn_id": "videodb_default", "poll_interval": 60}
    assert (
        CreditWatchTrigger(**kwargs, **wait, colour="red").serialize()
        == CreditWatchTrigger(**kwargs, **wait).serialize()
    )
