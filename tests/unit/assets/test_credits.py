"""Which asset the arguments name, and what Airflow stores of it."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_videodb.assets.credits import credits_back, credits_low
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.triggers.credit_watch import CreditWatchTrigger


def stored(asset):
    (watcher,) = asset.watchers
    return watcher.trigger.serialize()


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        (credits_low(below=200), "videodb_credits_low:videodb_default:200"),
        (credits_low(below="200.0", back_at=220, warn_hours=24.0), "videodb_credits_low:videodb_default:200"),
        (credits_low(below=Decimal("0.5")), "videodb_credits_low:videodb_default:0.5"),
        (credits_low(below=200, warn_hours=None), "videodb_credits_low:videodb_default:200:no_warning"),
        (credits_low(below=200, warn_hours=1.5), "videodb_credits_low:videodb_default:200:warn_1.5_h"),
        (credits_low(below=200, back_at=300), "videodb_credits_low:videodb_default:200:back_at_300"),
        (credits_low(below=200, poll_interval=5), "videodb_credits_low:videodb_default:200:every_5_s"),
        (credits_low(below=200, videodb_conn_id="b"), "videodb_credits_low:b:200"),
        (credits_back(below=200), "videodb_credits_back:videodb_default:200"),
        (credits_back(below=200, poll_interval=timedelta(minutes=1)), "videodb_credits_back:videodb_default:200"),
    ],
)
def test_name_follows_from_the_arguments(asset, name):
    assert (asset.name, asset.uri) == (name, name)


def test_equal_arguments_are_one_trigger_to_airflow():
    hashes = {BaseEventTrigger.hash(*stored(credits_low(below=below))) for below in (200, 200.0, "200", Decimal(200))}
    assert len(hashes) == 1


def test_stored_trigger_is_the_same_trigger():
    path, arguments = stored(credits_low(below="0.1", warn_hours=2))
    again = json.loads(json.dumps(arguments))
    assert CreditWatchTrigger(**again).serialize() == (path, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"below": 0},
        {"below": 200, "warn_hours": -1},
        {"below": 200, "poll_interval": 0},
        {"below": 200, "videodb_conn_id": " "},
        {"below": 200, "videodb_conn_id": None},
    ],
)
def test_argument_that_breaks_a_rule_fails_the_import(arguments):
    with pytest.raises(VideoDBConfigError, match="Next step: "):
        credits_low(**arguments)
