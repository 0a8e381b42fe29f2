"""What VideoDB's Python SDK calls to upload, index and delete media. Every answer is immediate."""

# No `from __future__ import annotations`: FastAPI reads the annotations at run time.

import dataclasses
import secrets
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_videodb.emulator.account.library import Media, MediaKind, scene_records, word_timestamps
from airflow_provider_videodb.emulator.account.values import text_of
from airflow_provider_videodb.emulator.http.errors import InvalidValueError, NotFoundError
from airflow_provider_videodb.emulator.http.payloads import json_object
from airflow_provider_videodb.emulator.http.routing import require_key, world_of

router = APIRouter(dependencies=[Depends(require_key)])


@router.get("/collection")
async def collections(request: Request) -> Response:
    """Answer all collections."""
    world = world_of(request)
    with world.lock:
        found = [dataclasses.asdict(collection) for collection in world.library.collections()]
    return _data({"collections": found, "default_collection": "default"})


@router.post("/collection")
async def create_collection(request: Request) -> Response:
    """Make a collection."""
    payload = await json_object(request)
    name = text_of("name", payload.get("name"))
    world = world_of(request)
    with world.lock:
        made = world.library.create_collection(
            name, _optional_text(payload, "description"), is_public=payload.get("is_public") is True
        )
    return _data(dataclasses.asdict(made))


@router.get("/collection/{collection_id}")
async def collection(request: Request, collection_id: str) -> Response:
    """Answer one collection."""
    world = world_of(request)
    with world.lock:
        return _data(dataclasses.asdict(world.library.collection(collection_id)))


@router.get("/collection/{collection_id}/upload_url")
async def upload_url(request: Request, collection_id: str) -> Response:
    """Answer where a local file can be sent to."""
    world = world_of(request)
    with world.lock:
        world.library.collection(collection_id)
    return _data({"upload_url": f"{world.base_url}/uploads/{secrets.token_hex(12)}"})


@router.post("/collection/{collection_id}/upload")
async def upload(request: Request, collection_id: str) -> Response:
    """Take a file in by its URL, which is never fetched, and charge for it."""
    payload = await json_object(request)
    source = text_of("url", payload.get("url"), at_most=2048)
    world = world_of(request)
    with world.lock:
        media = world.library.upload(
            collection_id,
            source=source,
            name=_optional_text(payload, "name"),
            description=_optional_text(payload, "description"),
            kind=_optional_kind(payload.get("media_type")),
        )
    return _data(_media(media, world.base_url))


@router.post("/video/{video_id}/index")
async def index(request: Request, video_id: str) -> Response:
    """Index the speech or the scenes of a video, and charge for it."""
    payload = await json_object(request)
    kind = payload.get("index_type")
    world = world_of(request)
    with world.lock:
        if kind == "spoken_word":
            world.library.index_speech(video_id, force=payload.get("force") is True)
            return _data({})
        if kind == "scene":
            return _data({"scene_index_id": world.library.index_scenes(video_id, name=_optional_text(payload, "name"))})
    raise InvalidValueError("index_type must be spoken_word or scene")


@router.get("/video/{video_id}/index")
async def index_of(request: Request, video_id: str) -> Response:
    """Answer the scenes of an indexed video."""
    world = world_of(request)
    with world.lock:
        video = world.library.media("video", video_id)
        return _data(scene_records(video) if video.scene_indexes else [])


@router.post("/video/{video_id}/index/scene")
async def index_scenes(request: Request, video_id: str) -> Response:
    """Index the scenes of a video, and charge for it."""
    name = _optional_text(await json_object(request), "name")
    world = world_of(request)
    with world.lock:
        return _data({"scene_index_id": world.library.index_scenes(video_id, name=name)})


@router.get("/video/{video_id}/index/scene")
async def scene_indexes(request: Request, video_id: str) -> Response:
    """Answer the scene indexes of a video."""
    world = world_of(request)
    with world.lock:
        indexes = world.library.media("video", video_id).scene_indexes
        found = [{"scene_index_id": key, "name": name, "status": "ready"} for key, name in indexes.items()]
    return _data({"scene_indexes": found})


@router.get("/video/{video_id}/index/scene/{index_id}")
async def scene_index(request: Request, video_id: str, index_id: str) -> Response:
    """Answer the scenes of one scene index."""
    world = world_of(request)
    with world.lock:
        video = world.library.media("video", video_id)
        if index_id not in video.scene_indexes:
            raise NotFoundError(f"no scene index {index_id}")
        return _data({"scene_index_records": scene_records(video)})


@router.get("/video/{video_id}/transcription")
async def transcription(request: Request, video_id: str) -> Response:
    """Answer the transcript of a video whose speech is indexed."""
    world = world_of(request)
    with world.lock:
        if not world.library.media("video", video_id).has_speech_index:
            raise NotFoundError(f"video {video_id} has no transcript yet: index its spoken words first")
    words = word_timestamps()
    return _data({"word_timestamps": words, "text": " ".join(word["text"] for word in words)})


@router.get("/video")
@router.get("/audio")
@router.get("/image")
async def media_of(request: Request) -> Response:
    """Answer the media of one kind in a collection."""
    kind = _kind(request)
    world = world_of(request)
    with world.lock:
        found = world.library.all(kind, request.query_params.get("collection_id", "default"))
    return _data({f"{kind}s": [_media(media, world.base_url) for media in found]})


@router.get("/video/{media_id}")
@router.get("/audio/{media_id}")
@router.get("/image/{media_id}")
async def one_of(request: Request, media_id: str) -> Response:
    """Answer one of the media."""
    world = world_of(request)
    with world.lock:
        return _data(_media(world.library.media(_kind(request), media_id), world.base_url))


@router.delete("/video/{media_id}")
@router.delete("/audio/{media_id}")
@router.delete("/image/{media_id}")
async def delete(request: Request, media_id: str) -> Response:
    """Forget one of the media."""
    world = world_of(request)
    with world.lock:
        world.library.delete(_kind(request), media_id)
    return _data({})


def _data(value: object) -> Response:
    return JSONResponse({"success": True, "data": value})


def _media(media: Media, base_url: str) -> dict[str, Any]:
    common = {
        "id": media.id,
        "collection_id": media.collection_id,
        "name": media.name,
        "description": media.description,
    }
    if media.kind == "image":
        return {**common, "url": f"{base_url}/uploads/{media.id}"}
    if media.kind == "audio":
        return {**common, "length": float(media.length)}
    return {
        **common,
        "length": float(media.length),
        "stream_url": f"{base_url}/uploads/{media.id}/stream.m3u8",
        "player_url": f"{base_url}/uploads/{media.id}/watch?v={media.id}",
        "thumbnail_url": None,
    }


def _optional_text(payload: dict[str, Any], name: str) -> str:
    # The SDK sends null for what its caller left out.
    value = payload.get(name)
    return "" if value is None else text_of(name, value, at_most=2000)


def _optional_kind(value: object) -> MediaKind | None:
    match value:
        case None:
            return None
        case "video" | "audio" | "image":
            return value
    raise InvalidValueError("media_type must be video, audio or image")


def _kind(request: Request) -> MediaKind:
    """Return the kind that the first segment of the path names; the routes leave no other."""
    match request.url.path.split("/")[1]:
        case "audio":
            return "audio"
        case "image":
            return "image"
    return "video"
