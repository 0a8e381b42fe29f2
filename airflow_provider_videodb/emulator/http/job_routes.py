"""
The calls that start jobs and poll them.

VideoDB's OpenAPI document has some paths with a slash at the end, and its SDK calls them without.
"""

from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import QueryParams

from airflow_provider_videodb.emulator.account.jobs import DEFAULT_SCENE, Job, JobKind
from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.errors import InvalidValueError, NotFoundError
from airflow_provider_videodb.emulator.http import job_results
from airflow_provider_videodb.emulator.http.access import require_key, state_of
from airflow_provider_videodb.emulator.http.callbacks import check_callback_url
from airflow_provider_videodb.emulator.http.payloads import json_object
from airflow_provider_videodb.emulator.values import boolean_of, describe, lenient_decimal_of, text_of, whole_of

COLLECTION = "default"
_MEDIA_TYPES = ("video", "audio", "image")
_INDEXES: dict[str, JobKind] = {"spoken_word": "index_spoken_words", "scene": "index_scenes"}
_SCENE_FIELDS = (
    "scene_type",
    "segmentation_threshold",
    "extraction_type",
    "extraction_config",
    "prompt",
    "name",
    "metadata",
    "model_name",
    "model_config",
)
# A video has a transcript after either of them.
_SPOKEN: tuple[JobKind, ...] = ("transcription", "index_spoken_words")
_LONGEST_TEXT = 2000
_LONGEST_SCENE = 3600

router = APIRouter(dependencies=[Depends(require_key)])


@router.get("/collection/{collection_id}")
async def collection(collection_id: str) -> Response:
    """Return the only collection."""
    _check_collection(collection_id)
    return _data({"id": COLLECTION, "name": "Default", "description": "The emulator's collection", "is_public": False})


@router.post("/collection/{collection_id}/upload")
async def upload(request: Request, collection_id: str) -> Response:
    """Upload by URL, free of charge. It may become a job."""
    _check_collection(collection_id)
    payload = await json_object(request)
    kind: Any = payload.get("media_type") or "video"
    if kind not in _MEDIA_TYPES:
        raise InvalidValueError(f"media_type must be one of {', '.join(_MEDIA_TYPES)}, got {describe(kind)}")
    source = text_of("url", payload.get("url"), at_most=2048)
    name, description = _text(payload, "name"), _text(payload, "description")
    state = state_of(request)
    callback = _callback(state, payload)
    with state.lock:
        job = state.jobs.upload(source, kind=kind, name=name, description=description, callback_url=callback)
        if callback or state.settings.upload_duration:
            return _accepted(state, job)
    return _data(job_results.video_data(job.media))


@router.get("/video")
@router.get("/video/")
async def videos(request: Request) -> Response:
    """Return every video, newest first."""
    _check_collection(request.query_params.get("collection_id", COLLECTION))
    state = state_of(request)
    with state.lock:
        return _data({"videos": [job_results.video_data(video) for video in state.jobs.videos()]})


@router.get("/video/{video_id}")
async def video(request: Request, video_id: str) -> Response:
    """Return one video."""
    _check_collection(request.query_params.get("collection_id", COLLECTION))
    state = state_of(request)
    with state.lock:
        return _data(job_results.video_data(state.jobs.video(video_id)))


@router.post("/video/{video_id}/index")
@router.post("/video/{video_id}/index/")
async def index(request: Request, video_id: str) -> Response:
    """Start an index of spoken words or of scenes."""
    payload = await json_object(request)
    kind = _index_kind(payload.get("index_type") or "spoken_word")
    for name in ("engine", "language_code", "segmentation_type"):
        _text(payload, name)
    force = boolean_of("force", payload.get("force", False))
    state = state_of(request)
    callback = _callback(state, payload)
    with state.lock:
        if kind == "index_scenes":
            job = state.jobs.index_scenes(video_id, {}, force=force, callback_url=callback)
        else:
            job = state.jobs.index_speech(video_id, force=force, callback_url=callback)
        return _accepted(state, job)


@router.get("/video/{video_id}/index")
@router.get("/video/{video_id}/index/")
async def index_status(request: Request, video_id: str) -> Response:
    """Return the status of the newest index."""
    kind = _index_kind(request.query_params.get("index_type"))
    state = state_of(request)
    with state.lock:
        jobs = state.jobs.of_video(video_id, kind)
        if not jobs:
            raise NotFoundError(f"video {video_id} has no such index: {kind}")
        status = state.jobs.status(jobs[0])
    return JSONResponse({"success": True, "status": status, "message": jobs[0].failure or f"{kind} is {status}"})


@router.post("/video/{video_id}/index/scene")
@router.post("/video/{video_id}/index/scene/")
async def index_scenes(request: Request, video_id: str) -> Response:
    """Start an index of scenes."""
    payload = await json_object(request)
    _refuse(payload, "scenes", "sandbox_id")
    options = {name: payload[name] for name in _SCENE_FIELDS if payload.get(name) not in (None, {})}
    config = payload.get("extraction_config") or {}
    if not isinstance(config, dict):
        raise InvalidValueError(f"extraction_config must be an object, got {describe(config)}")
    seconds = whole_of("time", config.get("time") or DEFAULT_SCENE, at_least=1, at_most=_LONGEST_SCENE)
    state = state_of(request)
    callback = _callback(state, payload)
    with state.lock:
        return _accepted(state, state.jobs.index_scenes(video_id, options, seconds=seconds, callback_url=callback))


@router.get("/video/{video_id}/index/scene")
@router.get("/video/{video_id}/index/scene/")
async def scene_indexes(request: Request, video_id: str) -> Response:
    """Return every scene index of a video, newest first."""
    state = state_of(request)
    with state.lock:
        found = [
            {"scene_index_id": job.result_id, "name": job.options.get("name"), "status": state.jobs.status(job)}
            for job in state.jobs.of_video(video_id, "index_scenes")
        ]
    return _data({"scene_indexes": found})


@router.get("/video/{video_id}/index/scene/{scene_index_id}")
async def scene_index(request: Request, video_id: str, scene_index_id: str) -> Response:
    """Return the scenes of an index, or its job."""
    state = state_of(request)
    with state.lock:
        for job in state.jobs.of_video(video_id, "index_scenes"):
            if job.result_id == scene_index_id:
                if state.jobs.status(job) == "processing":
                    return _processing(state, job, request_type="sync")
                scenes = {"scene_index_records": job_results.scene_records(job)}
                return JSONResponse(job_results.ended_response(state.jobs, job, scenes))
    raise NotFoundError(f"video {video_id} has no scene index {scene_index_id}")


@router.post("/video/{video_id}/transcription")
@router.post("/video/{video_id}/transcription/")
async def transcribe(request: Request, video_id: str) -> Response:
    """Start a transcript. It costs a speech index."""
    payload = await json_object(request)
    for name in ("engine", "language_code"):
        _text(payload, name)
    force = boolean_of("force", payload.get("force", False))
    state = state_of(request)
    callback = _callback(state, payload)
    with state.lock:
        return _accepted(state, state.jobs.transcribe(video_id, force=force, callback_url=callback))


@router.get("/video/{video_id}/transcription")
@router.get("/video/{video_id}/transcription/")
async def transcript(request: Request, video_id: str) -> Response:
    """Return the words of a transcript, or of an index of spoken words."""
    query = request.query_params
    if query.get("segmenter", "word") != "word":
        raise InvalidValueError(f"the emulator has the segmenter word only, got {describe(query['segmenter'])}")
    start, end = (_seconds(query, name) for name in ("start", "end"))
    state = state_of(request)
    with state.lock:
        for job in (each for kind in _SPOKEN for each in state.jobs.of_video(video_id, kind)):
            if state.jobs.status(job) == "done":
                return _data(job_results.transcript_of(job.media, start=start, end=end))
    raise NotFoundError(f"video {video_id} has no transcript")


@router.get("/async-response/{job_id}")
async def async_response(request: Request, job_id: str) -> Response:
    """Return the status of a job, and its result."""
    state = state_of(request)
    with state.lock:
        job = state.jobs.job(job_id)
        return JSONResponse(job_results.async_response(state.jobs, job))


def _accepted(state: EmulatorState, job: Job) -> Response:
    """Respond to the request that started a job."""
    if not job.callback_url:
        return _processing(state, job, request_type="sync")
    state.wakeups.wake_all()
    return _processing(state, job, request_type="async")


def _processing(state: EmulatorState, job: Job, *, request_type: str) -> Response:
    # The SDK polls the job of a sync request. It returns None at once for an async one.
    data = {"id": job.id, "output_url": f"{state.base_url}/async-response/{job.id}"}
    return JSONResponse({"success": True, "status": "processing", "request_type": request_type, "data": data})


def _index_kind(name: object) -> JobKind:
    if not isinstance(name, str) or name not in _INDEXES:
        raise InvalidValueError(f"index_type must be one of {', '.join(_INDEXES)}, got {describe(name)}")
    return _INDEXES[name]


def _check_collection(collection_id: str) -> None:
    if collection_id != COLLECTION:
        raise NotFoundError(f"no collection {collection_id}")


def _refuse(payload: dict[str, Any], *names: str) -> None:
    """Refuse what the emulator would have to ignore."""
    for name in names:
        if payload.get(name) is not None:
            raise InvalidValueError(f"the emulator does not support {name}")


def _seconds(query: QueryParams, name: str) -> Decimal | None:
    text = query.get(name)
    # VideoDB's default for an end is -1.
    return None if text in (None, "-1") else lenient_decimal_of(name, text)


def _callback(state: EmulatorState, payload: dict[str, Any]) -> str:
    value = payload.get("callback_url")
    return "" if value is None else check_callback_url(value, allowed_hosts=state.settings.callback_hosts)


def _text(payload: dict[str, Any], name: str) -> str:
    # The SDK sends null for an argument that its caller left out.
    value = payload.get(name)
    return "" if value is None else text_of(name, value, at_most=_LONGEST_TEXT)


def _data(value: object) -> Response:
    return JSONResponse({"success": True, "data": value})
