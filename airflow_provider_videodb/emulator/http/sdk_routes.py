"""The calls with which VideoDB's Python SDK uploads and indexes."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_videodb.emulator.errors import InvalidValueError, NotFoundError
from airflow_provider_videodb.emulator.http.access import require_key, state_of
from airflow_provider_videodb.emulator.http.payloads import json_object
from airflow_provider_videodb.emulator.values import boolean_of, describe, text_of

COLLECTION = "default"

router = APIRouter(dependencies=[Depends(require_key)])


@router.get("/collection/{collection_id}")
async def collection(collection_id: str) -> Response:
    """Return the only collection."""
    _check_collection(collection_id)
    return _data({"id": COLLECTION, "name": "Default", "description": "The emulator's collection", "is_public": False})


@router.post("/collection/{collection_id}/upload")
async def upload(request: Request, collection_id: str) -> Response:
    """Upload a video by its URL, free of charge."""
    _check_collection(collection_id)
    payload = await json_object(request)
    _check_supported(payload, "media_type", "video")
    source = text_of("url", payload.get("url"), at_most=2048)
    state = state_of(request)
    with state.lock:
        video = state.library.upload(
            source=source, name=_optional_text(payload, "name"), description=_optional_text(payload, "description")
        )
    return _data(
        {
            "id": video.id,
            "collection_id": COLLECTION,
            "name": video.name,
            "description": video.description,
            "length": float(video.length),
            "stream_url": None,
            "player_url": None,
            "thumbnail_url": None,
        }
    )


# VideoDB's OpenAPI document has the path with the slash, and the SDK calls it without.
@router.post("/video/{video_id}/index")
@router.post("/video/{video_id}/index/")
async def index(request: Request, video_id: str) -> Response:
    """Start an indexing job and return where to poll it."""
    payload = await json_object(request)
    _check_supported(payload, "index_type", "spoken_word")
    force = boolean_of("force", payload.get("force", False))
    state = state_of(request)
    with state.lock:
        job = state.library.index_speech(video_id, force=force)
    data = {"id": job.id, "output_url": f"{state.base_url}/async-response/{job.id}"}
    return JSONResponse({"success": True, "status": "processing", "request_type": "sync", "data": data})


@router.get("/async-response/{job_id}")
async def async_response(request: Request, job_id: str) -> Response:
    """Return the status of an indexing job."""
    state = state_of(request)
    with state.lock:
        job = state.library.job(job_id)
        status = state.library.status(job)
    if status == "failed":
        return JSONResponse({"success": False, "status": status, "message": job.failure})
    return JSONResponse({"success": True, "status": status, "data": {}})


def _check_collection(collection_id: str) -> None:
    if collection_id != COLLECTION:
        raise NotFoundError(f"no collection {collection_id}")


def _check_supported(payload: dict[str, Any], name: str, supported: str) -> None:
    """Refuse what the emulator would have to ignore."""
    if payload.get(name, supported) not in (None, supported):
        raise InvalidValueError(f"the emulator supports only {supported} as {name}, got {describe(payload[name])}")
    if payload.get("callback_url") is not None:
        raise InvalidValueError("the emulator does not support callback_url")


def _optional_text(payload: dict[str, Any], name: str) -> str:
    # The SDK sends null for an argument that its caller left out.
    value = payload.get(name)
    return "" if value is None else text_of(name, value, at_most=2000)


def _data(value: object) -> Response:
    return JSONResponse({"success": True, "data": value})
