"""VideoDB's own Python SDK against the emulator."""

from __future__ import annotations

from decimal import Decimal

import pytest
import videodb
from videodb.exceptions import AuthenticationError, InvalidRequestError

URL = "https://example.com/talks/keynote.mp4"


@pytest.fixture
def connection(emulator):
    return videodb.connect(api_key=emulator.api_key, base_url=emulator.base_url)


def test_upload_index_and_usage_end_to_end(emulator, connection):
    emulator.change_settings(price_index=2, price_upload="0.5")
    video = connection.get_collection().upload(url=URL)
    assert isinstance(video, videodb.client.Video)
    assert (video.name, video.collection_id) == ("keynote", "default")
    assert 60 <= video.length < 600
    video.index_spoken_words()
    assert video.get_transcript_text().startswith("this transcript")
    assert video.get_transcript()[0] == {"start": 0.0, "end": 1.0, "text": "this"}
    assert connection.check_usage() == {
        "credit_balance": 0.5,
        "usage_this_month": 2.5,
        "breakdown": {"upload": 0.5, "index_spoken_words": 2},
    }


def test_the_example_price_sheet(emulator, connection):
    emulator.set_balance(100)
    emulator.change_settings(video_length=90, credits_per_dollar=100)
    video = connection.upload(url=URL, name="named")
    video.index_spoken_words()
    video.index_scenes()
    # Two started minutes at 0.02 dollars, nine scenes at 0.0125.
    assert emulator.usage().breakdown == {"index_spoken_words": Decimal(4), "index_scenes": Decimal("11.25")}


def test_short_of_credits_is_402_and_charges_and_does_nothing(emulator, connection):
    emulator.change_settings(price_index=4)
    video = connection.upload(url=URL)
    for index in (video.index_spoken_words, video.index_scenes):
        with pytest.raises(InvalidRequestError, match="Insufficient credits") as short:
            index()
        assert short.value.response.status_code == 402
    with pytest.raises(InvalidRequestError):
        video.get_transcript()
    assert emulator.balance == 3
    emulator.set_balance(4)
    video.index_spoken_words()
    assert emulator.balance == 0
    emulator.change_settings(price_upload=1)
    with pytest.raises(InvalidRequestError, match="Insufficient credits"):
        connection.upload(url=URL)
    assert len(connection.get_collection().get_videos()) == 1


def test_speech_is_charged_once_unless_forced(emulator, connection):
    emulator.change_settings(price_index=1)
    video = connection.upload(url=URL)
    for _ in range(2):
        video.index_spoken_words()
    assert emulator.balance == 2
    video.index_spoken_words(force=True)
    assert emulator.balance == 1


def test_scene_indexes(connection, emulator):
    emulator.set_balance(100)
    emulator.change_settings(video_length=25)
    video = connection.upload(url=URL)
    assert video.get_scenes() is None
    index_id = video.index_scenes(name="cuts")
    assert [index["name"] for index in video.list_scene_index()] == ["cuts"]
    scenes = video.get_scene_index(index_id)
    assert [(scene["start"], scene["end"]) for scene in scenes] == [(0, 10), (10, 20), (20, 25)]
    assert len(video.get_scenes()) == 3
    with pytest.raises(InvalidRequestError):
        video.get_scene_index("nobody")


def test_collections_and_deleting(connection):
    collection = connection.create_collection(name="talks", description="all talks")
    assert [c.name for c in connection.get_collections()] == ["Default", "talks"]
    video = collection.upload(url=URL)
    assert [v.id for v in collection.get_videos()] == [video.id]
    assert collection.get_video(video.id).length == video.length
    assert connection.get_collection("default").get_videos() == []
    video.delete()
    assert collection.get_videos() == []
    with pytest.raises(InvalidRequestError):
        video.index_spoken_words()
    with pytest.raises(InvalidRequestError):
        connection.get_collection("nobody")


def test_other_media_and_local_files(connection, tmp_path):
    collection = connection.get_collection()
    local = tmp_path / "clip.mp4"
    local.write_bytes(b"\0" * 200_000)
    assert collection.upload(file_path=str(local)).name == "clip"
    audio, image = (
        collection.upload(url="https://example.com/a.mp3"),
        collection.upload(url="https://example.com/a.png"),
    )
    assert (type(audio).__name__, type(image).__name__) == ("Audio", "Image")
    assert type(collection.upload(url=URL, media_type="audio")).__name__ == "Audio"
    assert len(collection.get_audios()) == 2
    assert [found.id for found in collection.get_images()] == [image.id]
    image.delete()
    assert collection.get_images() == []


def test_invoices(emulator, connection, api):
    api.post("/billing/topup", {"amount": 50})
    emulator.pay(emulator.checkouts()[0].id)
    assert [invoice["amount"] for invoice in connection.get_invoices()] == [50]


def test_a_wrong_key(emulator):
    with pytest.raises(AuthenticationError):
        videodb.connect(api_key="sk-wrong", base_url=emulator.base_url).get_collection()


def test_the_sdk_is_recognised_in_the_log(emulator, connection):
    connection.get_collection()
    assert emulator.calls()[0].headers["x-videodb-client"].startswith("videodb-python/")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/collection/default/upload", {}, 400),
        ("/collection/default/upload", {"url": URL, "media_type": "smell"}, 400),
        ("/collection/nobody/upload", {"url": URL}, 404),
        ("/collection", {"name": 5}, 400),
        ("/video/m-nobody/index", {"index_type": "spoken_word"}, 404),
        ("/video/m-nobody/index", {"index_type": "dance"}, 400),
        ("/video/m-nobody/index/scene", {}, 404),
    ],
)
def test_bad_input_has_the_documented_error_shape(api, path, body, status):
    refused = api.post(path, body)
    assert refused.status_code == status
    assert set(refused.json()) == {"success", "message", "error_code"}


def test_audio_is_no_video(connection, api):
    audio = connection.get_collection().upload(url="https://example.com/a.mp3")
    assert api.get(f"/video/{audio.id}").status_code == 404
