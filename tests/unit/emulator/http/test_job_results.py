"""What finished jobs return, to VideoDB's Python SDK and to plain calls."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from videodb.exceptions import InvalidRequestError

URL = "https://example.com/talks/keynote.mp4"


def test_upload_that_takes_time_is_a_job(emulator, connection, api, sleeps):
    emulator.change_settings(upload_duration=60)
    video = connection.get_collection().upload(url=URL)
    assert sum(sleeps) == 60
    assert video.length >= 60
    assert connection.get_collection().get_video(video.id).length == video.length


def test_video_is_unknown_until_its_upload_ends(emulator, connection, api):
    emulator.change_settings(upload_duration=60)
    job = connection.post("collection/default/upload", {"url": URL}, wait=False)
    assert api.get("/video/").json()["data"] == {"videos": []}
    emulator.advance(60)
    uploaded = api.get(f"/async-response/{job['id']}").json()["data"]
    assert api.get("/video/").json()["data"] == {"videos": [uploaded]}
    assert api.get(f"/video/{uploaded['id']}").json()["data"] == uploaded


@pytest.mark.parametrize(("kind", "made"), [("audio", "Audio"), ("image", "Image")])
def test_sounds_and_images_are_not_videos(connection, api, kind, made):
    media = connection.upload(url=URL, media_type=kind)
    assert type(media).__name__ == made
    assert api.get("/video/").json()["data"] == {"videos": []}
    assert api.post(f"/video/{media.id}/index", {}).status_code == 404


def test_scene_index_costs_by_the_scene(emulator, connection):
    video = connection.upload(url=URL)
    index_id = video.index_scenes(extraction_type="time", extraction_config={"time": 30}, name="halves")
    scenes = math.ceil(video.length / 30)
    assert emulator.usage().breakdown == {"index_scenes": scenes * Decimal("0.0125")}
    assert video.list_scene_index() == [{"scene_index_id": index_id, "name": "halves", "status": "done"}]
    records = video.get_scene_index(index_id)
    assert len(records) == scenes
    assert (records[0]["start"], records[-1]["end"]) == (0, video.length)


def test_same_scene_index_is_refused_another_is_not(emulator, connection):
    emulator.set_balance(100)
    video = connection.upload(url=URL)
    video.index_scenes(prompt="Name the speakers.")
    with pytest.raises(InvalidRequestError, match="already indexed"):
        video.index_scenes(prompt="Name the speakers.")
    video.index_scenes(prompt="Read the slides.")
    assert len(video.list_scene_index()) == 2


def test_scene_index_in_progress_tells_where_to_poll(emulator, api, video):
    emulator.change_settings(index_duration=60)
    job_id = api.post(f"/video/{video.id}/index/scene/", {}).json()["data"]["id"]
    (listed,) = api.get(f"/video/{video.id}/index/scene/").json()["data"]["scene_indexes"]
    path = f"/video/{video.id}/index/scene/{listed['scene_index_id']}"
    assert (listed["status"], api.get(path).json()["data"]["id"]) == ("processing", job_id)
    emulator.advance(60)
    assert api.get(path).json()["status"] == "done"


def test_sdk_makes_a_transcript_once(emulator, connection, video):
    emulator.set_balance(100)
    assert video.generate_transcript()["success"] is True
    with pytest.raises(InvalidRequestError, match=r"the transcript of video .* already exists"):
        video.generate_transcript()
    assert emulator.usage().breakdown == {"transcription": 2}


@pytest.mark.parametrize("make", ["generate_transcript", "index_spoken_words"])
def test_sdk_reads_the_transcript(video, make):
    with pytest.raises(InvalidRequestError, match="has no transcript"):
        video.get_transcript()
    getattr(video, make)()
    assert len(video.get_transcript()) == video.length
    assert [word["start"] for word in video.get_transcript(start=10, end=13)] == [10, 11, 12]
    assert video.get_transcript_text(start=10, end=12) == "word word"


@pytest.mark.parametrize(("query", "status"), [("start=0&end=-1", 200), ("start=x", 400), ("segmenter=sentence", 400)])
def test_transcript_reads_its_query(api, video, query, status):
    video.index_spoken_words()
    assert api.get(f"/video/{video.id}/transcription/?{query}").status_code == status


def test_scene_index_of_a_callback_is_polled_as_any_other(emulator, api, video):
    emulator.change_settings(index_duration=60)
    started = api.post(f"/video/{video.id}/index/scene", {"callback_url": "http://127.0.0.1:1/"}).json()
    (listed,) = api.get(f"/video/{video.id}/index/scene").json()["data"]["scene_indexes"]
    polled = api.get(f"/video/{video.id}/index/scene/{listed['scene_index_id']}").json()
    assert (started["request_type"], polled["request_type"]) == ("async", "sync")


def test_upload_has_a_size(api, video):
    read = api.get(f"/video/{video.id}").json()["data"]
    assert read["size"] == read["length"] * 250_000


def test_job_reports_its_progress(emulator, submit, api):
    emulator.change_settings(index_duration=200)
    job_id = submit()
    emulator.advance(50)
    assert api.get(f"/async-response/{job_id}").json()["data"] == {"percentage": 25}
