"""What a retry policy makes of each error."""

from __future__ import annotations

import inspect

import pytest
import videodb
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from videodb.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    RequestTimeoutError,
    SearchError,
    VideodbError,
)

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBError,
    VideoDBGatewayError,
    VideoDBGatewayRateLimitError,
    VideoDBInsufficientCreditsError,
    VideoDBLimitExceededError,
    VideoDBNoConnectionError,
    VideoDBNotFoundError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBPermissionError,
    VideoDBPurchaseUnknownError,
    VideoDBRateLimitError,
    VideoDBResponseError,
    VideoDBServerError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.policies._verdicts import LONGEST_PAUSE, Action, verdict_on
from tests.support.raw_server import RawServer, raw_response

FAIL, RETRY, DEFAULT = (Action.FAIL, None), (Action.RETRY, None), (Action.DEFAULT, None)
SHORT = (Action.RETRY, 600.0)


def decided(err, *, keeps_records=False):
    verdict = verdict_on(err, credits_delay=600, keeps_records=keeps_records)
    assert (verdict.reason is None) is (verdict.action is Action.DEFAULT)
    return verdict.action, verdict.delay


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        (VideoDBAuthenticationError("", status=401, method="GET"), FAIL),
        (VideoDBPermissionError("", status=403, method="POST"), FAIL),
        (VideoDBConfigError("a field is missing"), FAIL),
        (VideoDBLimitExceededError("too much"), FAIL),
        (VideoDBPurchaseUnknownError("unclear"), FAIL),
        (VideoDBNoConnectionError("Airflow is busy"), DEFAULT),
        (VideoDBNotFoundError("", status=404), DEFAULT),
        (VideoDBRateLimitError("", retry_after=7.5, method="GET"), (Action.RETRY, 7.5)),
        (VideoDBRateLimitError("", retry_after=7.5, method="POST"), (Action.RETRY, 7.5)),
        # All retries would be used up at once.
        (VideoDBRateLimitError("", retry_after=0.0), RETRY),
        (VideoDBRateLimitError("", retry_after=1e18), (Action.RETRY, LONGEST_PAUSE)),
        (VideoDBRateLimitError(""), RETRY),
        (VideoDBGatewayRateLimitError("", retry_after=7, method="GET"), (Action.RETRY, 7)),
        (VideoDBInsufficientCreditsError("", status=402, method="POST"), SHORT),
        (VideoDBInsufficientCreditsError("short of credits for this job", status=200), SHORT),
        (VideoDBNotSentError("", method="POST"), DEFAULT),
        (VideoDBServerError("", status=503, method="GET"), DEFAULT),
        (VideoDBGatewayError("", status=401, method="GET"), DEFAULT),
        # A trigger met it, and a trigger only reads.
        (VideoDBServerError("", status=503), DEFAULT),
        (VideoDBTryOverError("a newer try has begun"), DEFAULT),
        (VideoDBError("something else"), DEFAULT),
        (ValueError("a mistake"), DEFAULT),
        (SystemExit(1), DEFAULT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_verdict_on_an_error_of_this_package(err, expected):
    assert decided(err) == expected


@pytest.mark.parametrize(
    ("err", "reason"),
    [
        (VideoDBPermissionError("", status=403, method="GET"), "A retry cannot help (HTTP 403)."),
        (VideoDBConfigError("a field is missing"), "A retry cannot help (VideoDBConfigError)."),
        (VideoDBRateLimitError("", retry_after=7.5), "VideoDB asks for a pause of 7.5 s."),
        # The log names what VideoDB asked for, although the task waits less.
        (VideoDBRateLimitError("", retry_after=172_800), "VideoDB asks for a pause of 172800 s."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_reason_names_what_happened(err, reason):
    assert verdict_on(err, credits_delay=600, keeps_records=False).reason == reason


@pytest.mark.parametrize(
    "error",
    [
        VideoDBOutcomeUnknownError,
        VideoDBServerError,
        VideoDBResponseError,
        VideoDBGatewayError,
        VideoDBGatewayRateLimitError,
    ],
)
def test_unknown_outcome_is_retried_only_by_a_task_with_records(error):
    err = error("lost", method="POST", retry_after=5.0)
    assert decided(err) == FAIL
    expected = (Action.RETRY, 5.0) if error is VideoDBGatewayRateLimitError else DEFAULT
    assert decided(err, keeps_records=True) == expected


@pytest.mark.parametrize(
    "error", [error for _, error in inspect.getmembers(exceptions, inspect.isclass) if issubclass(error, VideoDBError)]
)
def test_permanent_errors_and_no_others_fail_after_a_read(error):
    err = error("", method="GET") if issubclass(error, VideoDBAPIError) else error("")
    assert (decided(err)[0] is Action.FAIL) is exceptions.is_permanent(err)


REFUSED = {"success": False, "message": "no"}
HTML = b"<html>"


def error_of_sdk(*responses, post=True):
    """Return what the SDK raises after these responses."""
    with RawServer(*responses, hang_up=True) as server:
        sdk = videodb.connect(api_key="sk-mine", base_url=server.url)
        # The SDK would sleep as long as VideoDB asks, read again, and raise the same error.
        sdk.session.mount("http://", HTTPAdapter(max_retries=Retry(1, respect_retry_after_header=False)))
        with pytest.raises(VideodbError) as caught:
            sdk.post("video/m-1/index", {}) if post else sdk.get("video/m-1")
    return caught.value


def accepted_job(request):
    url = f"http://{request.headers['host']}/async-response/job-1"
    return raw_response({"success": True, "status": "processing", "data": {"id": "job-1", "output_url": url}})


def failed_job(message):
    return raw_response({"success": False, "status": "failed", "message": message})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (raw_response(REFUSED, 401), FAIL),
        (raw_response(REFUSED, 403), FAIL),
        # A proxy says nothing about the key.
        (raw_response(HTML, 401), FAIL),
        (raw_response(REFUSED | {"message": "Insufficient credits"}, 401), FAIL),
        (raw_response(REFUSED, 402), SHORT),
        (raw_response(REFUSED | {"message": "Insufficient credits"}, 200), SHORT),
        (raw_response(REFUSED, 429, Retry_After="90"), (Action.RETRY, 90.0)),
        (raw_response(REFUSED, 429, Retry_After="soon"), RETRY),
        (raw_response(REFUSED, 429), RETRY),
        (raw_response(REFUSED, 400), DEFAULT),
        (raw_response(REFUSED, 404), DEFAULT),
        (raw_response(REFUSED, 500), FAIL),
        (raw_response(REFUSED, 409), FAIL),
        (raw_response(HTML, 200), DEFAULT),
    ],
)
def test_verdict_on_a_response_to_a_job(response, expected):
    assert decided(error_of_sdk(response)) == expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (raw_response(REFUSED, 401), FAIL),
        (raw_response(HTML, 401), DEFAULT),
        (raw_response({"error": "denied"}, 401), DEFAULT),
        (raw_response(HTML, 403), DEFAULT),
        (raw_response(HTML, 429, Retry_After="90"), (Action.RETRY, 90.0)),
        (raw_response(REFUSED, 500), DEFAULT),
    ],
)
def test_verdict_on_a_response_to_a_read(response, expected):
    assert decided(error_of_sdk(response, post=False)) == expected


@pytest.mark.parametrize(
    ("message", "expected"), [("Insufficient credits", SHORT), ("no speech found", DEFAULT), ("bad prompt", DEFAULT)]
)
def test_verdict_on_a_job_that_fails_later(message, expected):
    assert decided(error_of_sdk(accepted_job, failed_job(message))) == expected


def test_reason_of_the_sdk_names_the_status():
    verdict = verdict_on(error_of_sdk(raw_response(REFUSED, 401)), credits_delay=600, keeps_records=False)
    assert verdict.reason == "A retry cannot help (HTTP 401)."


def test_job_that_outlives_its_poll_is_not_submitted_again():
    assert decided(RequestTimeoutError("Polling timed out after 500s", None)) == FAIL


def test_job_whose_response_is_lost_is_not_submitted_again():
    assert decided(error_of_sdk(b"")) == FAIL


@pytest.mark.parametrize("err", [AuthenticationError("no"), InvalidRequestError("no"), SearchError("nothing found")])
def test_sdk_error_without_a_response_is_unknown(err):
    assert decided(err) == FAIL


def test_error_that_only_looks_like_one_of_the_sdk_is_none():
    assert decided(type("VideodbError", (Exception,), {})("Insufficient credits")) == DEFAULT
