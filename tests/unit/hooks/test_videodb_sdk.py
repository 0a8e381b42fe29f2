"""VideoDB's SDK on a connection, and a shortage of credits in its jobs."""

from __future__ import annotations

import sys

import pytest
import videodb

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBInsufficientCreditsError
from airflow_provider_videodb.hooks.videodb import VideoDBHook
from tests.conftest import API_KEY
from tests.support.raw_server import RawServer, raw_response

VIDEO = "https://videos.example/a.mp4"


def refused(message, status=200):
    return raw_response({"success": False, "message": message}, status)


def late_failure(message):
    """Accept the job, then let it fail, as VideoDB does."""

    def reply(request):
        if request.path.startswith("/async-response/"):
            return raw_response({"success": False, "status": "failed", "message": message})
        url = f"http://{request.headers['host']}/async-response/job-1"
        return raw_response({"success": True, "status": "processing", "data": {"id": "job-1", "output_url": url}})

    return reply


def index(hook):
    hook.get_sdk().post("video/m-1/index", {"index_type": "spoken_word"})


def test_sdk_is_connected_to_the_account_of_the_connection(emulator):
    sdk = VideoDBHook().get_sdk()

    assert isinstance(sdk, videodb.Connection)
    assert sdk.get_collection().upload(url=VIDEO).id
    assert emulator.calls("POST", "/collection/*/upload", accepted=True)


def test_missing_sdk_is_an_error_with_the_install_command(emulator, monkeypatch):
    monkeypatch.setitem(sys.modules, "videodb", None)

    with pytest.raises(VideoDBConfigError, match=r"Next step: .* pip install 'airflow-provider-videodb\[sdk\]'"):
        VideoDBHook().get_sdk()
    with (
        pytest.raises(VideoDBConfigError, match="SDK is not installed"),
        VideoDBHook().credit_shortage_as_error(),
    ):
        pass


def test_broken_sdk_is_not_taken_for_a_missing_one(emulator, monkeypatch):
    def fail(*_):
        raise ModuleNotFoundError("No module named 'tqdm'", name="tqdm")

    monkeypatch.delitem(sys.modules, "videodb")
    monkeypatch.setattr(sys, "meta_path", [type("Finder", (), {"find_spec": staticmethod(fail)}), *sys.meta_path])

    with pytest.raises(ModuleNotFoundError, match="tqdm"):
        VideoDBHook().get_sdk()


@pytest.mark.parametrize("on_shortage", ["refuse", "fail_job"])
def test_shortage_in_the_emulator_is_recognised(connect, on_shortage):
    with Emulator(credits=0, api_key=API_KEY) as emulator:
        emulator.change_settings(price_index=4, index_duration=0, on_shortage=on_shortage)
        hook = connect(host=emulator.base_url)
        with pytest.raises(VideoDBInsufficientCreditsError), hook.credit_shortage_as_error():
            hook.get_sdk().get_collection().upload(url=VIDEO).index_spoken_words()


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (refused("Insufficient credits", 402), 402),
        (refused("pay first", 402), 402),
        (raw_response(b"<html>", 402), 402),
        (refused("Insufficient credits to index"), 200),
        (late_failure("Insufficient credits"), 200),
        (late_failure("Job failed: not enough free credits"), 200),
        (late_failure("insufficient credit balance"), 200),
        (late_failure("You don't have enough credits for 'a.mp4'"), 200),
    ],
    ids=range(8),
)
def test_shortage_of_credits_is_recognised(connect, reply, status):
    with RawServer(reply) as server:
        hook = connect(host=server.url)
        with pytest.raises(VideoDBInsufficientCreditsError) as caught, hook.credit_shortage_as_error():
            index(hook)

    assert caught.value.status == status
    assert str(caught.value).startswith("The account of connection 'videodb_default' is short of credits")
    assert str(caught.value).count("Next step: ") == 1
    # The error of the SDK carries the request, whose headers have the key.
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refused("no such video", 404), videodb.InvalidRequestError),
        (refused("already indexed", 400), videodb.InvalidRequestError),
        (refused("the credits of this film are insufficient", 400), videodb.InvalidRequestError),
        (refused("Insufficient credits", 401), videodb.AuthenticationError),
        (late_failure("no speech found"), videodb.InvalidRequestError),
        (late_failure('cannot draw "a poor man with not enough credits"'), videodb.InvalidRequestError),
        (late_failure("cannot draw 'insufficient credits', in neon"), videodb.InvalidRequestError),
        (late_failure("unsafe prompt: a bank that is out of credits"), videodb.InvalidRequestError),
        (refused("cannot read this script:\nA man has insufficient credits.", 400), videodb.InvalidRequestError),
    ],
    ids=range(9),
)
def test_other_error_of_sdk_passes_through_unchanged(connect, reply, error):
    with RawServer(reply) as server:
        hook = connect(host=server.url)
        with pytest.raises(error) as caught, hook.credit_shortage_as_error():
            index(hook)

    assert type(caught.value) is error


def test_error_of_other_code_passes_through_unchanged(emulator):
    with pytest.raises(ValueError, match="Insufficient credits") as caught, VideoDBHook().credit_shortage_as_error():
        raise ValueError("Insufficient credits")
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("password", [f"{API_KEY}\n", f" {API_KEY}", "sk-ä"])
def test_key_that_no_header_can_carry_is_not_shown(connect, password):
    hook = connect(password=password)

    with pytest.raises(VideoDBConfigError, match="contains a space, a line break or a character") as caught:
        hook.get_sdk()
    assert password.strip() not in str(caught.value)


@pytest.mark.parametrize("before", ["", "x" * 280])
def test_shortage_hides_the_key_that_the_server_repeats(connect, before):
    with RawServer(refused(f"{before} Insufficient credits for {API_KEY}. Next step: pay me", 402)) as server:
        hook = connect(host=server.url)
        with pytest.raises(VideoDBInsufficientCreditsError) as caught, hook.credit_shortage_as_error():
            index(hook)
    text = str(caught.value)
    assert API_KEY[:8] not in text
    assert text.count("Next step:") == 1
    assert caught.value.__cause__ is None
