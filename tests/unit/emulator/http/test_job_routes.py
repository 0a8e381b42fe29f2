"""VideoDB's Python SDK against the emulator."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
import videodb
from videodb.exceptions import AuthenticationError, InvalidRequestError

URL = "https://example.com/talks/keynote.mp4"


@pytest.fixture
def job_status(api):
    def read(job_id):
        response = api.get(f"/async-response/{job_id}").json()
        return response["success"], response["status"]

    return read


def test_sdk_uploads_and_indexes_a_video(emulator, connection, video):
    assert isinstance(video, videodb.client.Video)
    assert (video.name, video.collection_id) == ("keynote", "default")
    assert 60 <= video.length < 600
    video.index_spoken_words()
    assert connection.check_usage() == {
        "credit_balance": 1,
        "usage_this_month": 2,
        "breakdown": {"index_spoken_words": 2},
    }
    assert [call.path for call in emulator.calls()[:3]] == [
        "/collection/default",
        "/collection/default/upload",
        f"/video/{video.id}/index",
    ]
    assert emulator.calls()[3].path.startswith("/async-response/job-")


def test_index_price_is_per_started_minute(emulator, connection):
    emulator.change_settings(credits_per_dollar=10)
    video = connection.upload(url=URL, name="named")
    video.index_spoken_words()
    minutes = math.ceil(video.length / 60)
    assert emulator.usage().breakdown == {"index_spoken_words": minutes * Decimal("0.2")}


def test_job_is_processing_until_its_duration_is_over(emulator, submit, job_status):
    emulator.change_settings(index_duration=3600)
    job_id = submit()
    emulator.advance(3590)
    assert job_status(job_id) == (True, "processing")
    emulator.advance(10)
    assert job_status(job_id) == (True, "done")
    assert emulator.balance == 1


def test_sdk_polls_until_the_job_is_done(emulator, video, sleeps):
    emulator.change_settings(index_duration=60)
    video.index_spoken_words()
    assert len(sleeps) > 1
    assert len(emulator.calls(path="/async-response/*")) == len(sleeps) + 1


def test_shortage_is_refused_at_once_with_402(emulator, connection, video):
    emulator.set_balance("1.5")
    with pytest.raises(InvalidRequestError, match=r"Insufficient credits: .* needs 2, .* is 1\.5") as short:
        video.index_spoken_words()
    assert short.value.response.status_code == 402
    assert emulator.balance == Decimal("1.5")
    emulator.set_balance(2)
    video.index_spoken_words()
    assert emulator.balance == 0


def test_shortage_fails_an_accepted_job_with_status_200(emulator, video):
    emulator.change_settings(on_shortage="fail_job")
    emulator.set_balance("1.5")
    with pytest.raises(InvalidRequestError, match=r"Insufficient credits: .* needs 2, .* is 1\.5") as short:
        video.index_spoken_words()
    assert short.value.response.status_code == 200
    assert emulator.balance == Decimal("1.5")


def test_job_without_credits_fails_at_the_end_of_its_duration(emulator, submit, job_status, api):
    emulator.change_settings(on_shortage="fail_job", index_duration=60)
    emulator.set_balance(0)
    job_id = submit()
    assert job_status(job_id) == (True, "processing")
    emulator.advance(60)
    assert job_status(job_id) == (False, "failed")
    message = api.get(f"/async-response/{job_id}").json()["message"]
    assert message == "Insufficient credits: index_spoken_words needs 2, the credit balance is 0"


def test_second_submission_starts_and_charges_a_second_job(emulator, submit):
    emulator.change_settings(index_duration=60)
    emulator.set_balance(4)
    assert submit() != submit()
    assert emulator.balance == 0


def test_indexed_video_is_refused_unless_forced(emulator, video):
    emulator.set_balance(5)
    video.index_spoken_words()
    with pytest.raises(InvalidRequestError, match="already indexed"):
        video.index_spoken_words()
    assert emulator.balance == 3
    video.index_spoken_words(force=True)
    assert emulator.balance == 1


def test_path_of_the_openapi_document_works_too(api, video):
    response = api.post(f"/video/{video.id}/index/", {})
    job_id = response.json()["data"]["id"]
    assert response.json() == {
        "success": True,
        "status": "processing",
        "request_type": "sync",
        "data": {"id": job_id, "output_url": f"{api.emulator.base_url}/async-response/{job_id}"},
    }


def test_sdk_reads_invoices(emulator, connection, api):
    api.post("/billing/topup", {"amount": 50})
    emulator.pay(emulator.checkouts()[0].id)
    assert [invoice["amount"] for invoice in connection.get_invoices()] == [50]


def test_wrong_key_is_an_authentication_error(emulator):
    with pytest.raises(AuthenticationError):
        videodb.connect(api_key="sk-wrong", base_url=emulator.base_url).get_collection()


def test_call_log_shows_the_sdk(emulator, connection):
    connection.get_collection()
    assert emulator.calls()[0].headers["x-videodb-client"].startswith("videodb-python/")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/collection/default/upload", {}, 400),
        ("/collection/default/upload", {"url": URL, "media_type": "film"}, 400),
        ("/collection/default/upload", {"url": URL, "name": 5}, 400),
        ("/collection/default/upload", {"url": URL, "callback_url": "https://example.com/done"}, 400),
        ("/collection/other/upload", {"url": URL}, 404),
        ("/video/m-other/index", {"index_type": "spoken_word"}, 404),
        ("/video/m-other/index", {"index_type": "scene"}, 404),
        ("/video/m-other/index", {"index_type": "faces"}, 400),
        ("/video/m-other/index/scene", {}, 404),
        ("/video/m-other/index/scene", {"extraction_config": [10]}, 400),
        ("/video/m-other/index/scene", {"extraction_config": {"time": 0.5}}, 400),
        ("/video/m-other/index/scene", {"sandbox_id": "s-1"}, 400),
        ("/video/m-other/transcription", {}, 404),
        ("/video/m-other/transcription", {"force": 1}, 400),
        ("/video/m-other/index", {"force": "yes"}, 400),
        ("/video/m-other/index", {"callback_url": "https://example.com/done"}, 400),
    ],
)
def test_bad_or_unsupported_input_has_the_error_shape(api, path, body, status):
    refused = api.post(path, body)
    assert refused.status_code == status
    assert set(refused.json()) == {"success", "message", "error_code"}


@pytest.mark.parametrize(
    "path",
    [
        "/collection/other",
        "/async-response/job-other",
        "/video/m-other",
        "/video/?collection_id=other",
        "/video/m-other/index/?index_type=scene",
        "/video/m-other/index/scene",
        "/video/m-other/index/scene/si-other",
    ],
)
def test_unknown_id_is_404(api, path):
    assert api.get(path).status_code == 404


def test_index_status_needs_a_known_type(api, video):
    assert api.get(f"/video/{video.id}/index/").status_code == 400
    assert api.get(f"/video/{video.id}/index/?index_type=faces").status_code == 400
    assert api.get(f"/video/{video.id}/index/?index_type=spoken_word").status_code == 404


@pytest.mark.parametrize("kind", ["spoken_word", "scene"])
def test_index_status_follows_the_newest_job(emulator, api, video, kind):
    emulator.change_settings(index_duration=60, on_shortage="fail_job")
    path = f"/video/{video.id}/index/"
    api.post(path, {"index_type": kind})
    assert api.get(f"{path}?index_type={kind}").json()["status"] == "processing"
    emulator.advance(60)
    assert api.get(f"{path}?index_type={kind}").json()["status"] == "done"
    api.post(path, {"index_type": kind, "force": True})
    emulator.advance(60)
    status = api.get(f"{path}?index_type={kind}").json()
    assert (status["success"], status["status"]) == (True, "failed")
    assert "Insufficient credits" in status["message"]


def test_job_that_never_ends_stays_at_0_percent(emulator, submit, api):
    emulator.change_settings(index_duration=None)
    job_id = submit()
    emulator.advance(10 * 86400)
    assert api.get(f"/async-response/{job_id}").json() == {
        "success": True,
        "status": "processing",
        "data": {"percentage": 0},
    }
    assert emulator.balance == 1


def test_async_response_is_gone_after_its_ttl(emulator, submit, api):
    emulator.change_settings(index_duration=60, response_ttl=30)
    job_id = submit()
    emulator.advance(89)
    assert api.get(f"/async-response/{job_id}").status_code == 200
    emulator.advance(1)
    assert api.get(f"/async-response/{job_id}").status_code == 404
