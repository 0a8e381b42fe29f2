"""The policy as Airflow 3.3 asks it, and what an older Airflow says."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from airflow import sdk
from airflow.sdk import BaseOperator

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBInsufficientCreditsError,
    VideoDBRateLimitError,
    VideoDBServerError,
)
from airflow_provider_videodb.operators.topup import TopupOperator
from tests.support.compat import needs_retry_policies
from tests.unit.test_imports import is_within, modules_loaded_by

LOST = VideoDBServerError("lost", method="POST")


def decision(err, *, context=None, **arguments):
    from airflow_provider_videodb.policies.retry import VideoDBRetryPolicy

    policy = VideoDBRetryPolicy(**arguments)
    found = policy.evaluate(exception=err, try_number=1, max_tries=3, context=context)
    assert (found.reason is None) is (found.action.value == "default")
    return found.action.value, found.retry_delay


@needs_retry_policies
def test_decision_has_the_types_of_airflow():
    assert decision(VideoDBAuthenticationError("no")) == ("fail", None)
    assert decision(VideoDBRateLimitError("slow", retry_after=7.5)) == ("retry", timedelta(seconds=7.5))
    assert decision(VideoDBInsufficientCreditsError("short")) == ("retry", timedelta(minutes=10))
    assert decision(ValueError("mine")) == ("default", None)


@needs_retry_policies
@pytest.mark.parametrize("delay", [timedelta(hours=1), 3600])
def test_delay_after_a_shortage_is_chosen(delay):
    assert decision(VideoDBInsufficientCreditsError("short"), credits_delay=delay) == ("retry", timedelta(hours=1))


@needs_retry_policies
@pytest.mark.parametrize("delay", [0, -1, "10 minutes", None])
def test_impossible_delay_is_refused(delay):
    with pytest.raises(VideoDBConfigError, match="credits_delay is"):
        decision(ValueError(), credits_delay=delay)


@needs_retry_policies
def test_operator_of_the_package_may_repeat_a_lost_purchase():
    class Mine(TopupOperator):
        """A subclass of a DAG author."""

    for operator, action in ((TopupOperator, "default"), (Mine, "default")):
        assert decision(LOST, context={"task": operator(task_id="a", amount=20)})[0] == action
    assert decision(LOST, context={"task": BaseOperator(task_id="a")})[0] == "fail"
    assert decision(LOST, context={})[0] == "fail"
    assert decision(LOST)[0] == "fail"


@needs_retry_policies
def test_operators_accept_the_policy():
    from airflow_provider_videodb.policies.retry import VideoDBRetryPolicy

    policy = VideoDBRetryPolicy()
    assert TopupOperator(task_id="a", amount=20, retries=3, retry_policy=policy).has_retry_policy


@needs_retry_policies
def test_import_is_cheap():
    loaded = modules_loaded_by(
        "import airflow_provider_videodb.policies.retry",
        after="import airflow.sdk, airflow.providers.common.compat.sdk",
    )
    ours = {name for name in loaded if is_within(name, "airflow_provider_videodb")}
    assert ours <= {
        "airflow_provider_videodb",
        "airflow_provider_videodb.api",
        "airflow_provider_videodb.api.parsing",
        "airflow_provider_videodb.api.urls",
        "airflow_provider_videodb.exceptions",
        "airflow_provider_videodb.hooks",
        "airflow_provider_videodb.hooks.arguments",
        "airflow_provider_videodb.policies",
        "airflow_provider_videodb.policies.retry",
        "airflow_provider_videodb.version_compat",
    }
    assert not {name for name in loaded if is_within(name, "requests", "videodb")}


def test_older_airflow_is_told_what_to_do():
    # Airflow's own package hides the names, as an older version does.
    code = "import sys, types; from airflow import sdk; sys.modules['airflow.sdk'] = types.SimpleNamespace()\n"
    code = code if hasattr(sdk, "RetryPolicy") else ""
    code += "import airflow_provider_videodb.policies.retry"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "ImportError: VideoDBRetryPolicy needs Airflow 3.3" in done.stderr
    assert "Next step: upgrade Airflow" in done.stderr
