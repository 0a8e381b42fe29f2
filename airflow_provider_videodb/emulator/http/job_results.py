"""What a finished job returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.emulator.account.jobs import Job, Jobs
    from airflow_provider_videodb.emulator.account.media import Media

_WORD = "word"


def async_response(jobs: Jobs, job: Job) -> dict[str, Any]:
    """Return the async response of a job at this moment."""
    if jobs.status(job) == "processing":
        return {"success": True, "status": "processing", "data": {"percentage": jobs.percentage(job)}}
    return ended_response(jobs, job, result_of(job))


def ended_response(jobs: Jobs, job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """Return the response of a job that has ended."""
    status = jobs.status(job)
    if status == "failed":
        return {"success": False, "status": status, "message": job.failure}
    return {"success": True, "status": status, "data": result}


def result_of(job: Job) -> dict[str, Any]:
    """Return the ``data`` of a finished job."""
    if job.kind == "upload":
        return video_data(job.media)
    if job.kind == "index_scenes":
        return {"scene_index_id": job.result_id, "scene_index_records": scene_records(job)}
    if job.kind == "transcription":
        return transcript_of(job.media)
    return {}


def transcript_of(media: Media, *, start: Decimal | None = None, end: Decimal | None = None) -> dict[str, Any]:
    """Return the words between two moments, one for each second."""
    seconds = [at for at in range(media.length) if (start is None or at >= start) and (end is None or at < end)]
    words = [{"start": float(at), "end": float(at + 1), "text": _WORD} for at in seconds]
    return {"word_timestamps": words, "text": " ".join([_WORD] * len(words))}


def video_data(media: Media) -> dict[str, Any]:
    """Return an upload as VideoDB describes it. Nothing can be played."""
    return {
        "id": media.id,
        "collection_id": "default",
        "name": media.name,
        "description": media.description,
        "length": float(media.length),
        "size": media.size,
        "created_at": media.created_at.isoformat(),
        "stream_url": None,
        "player_url": None,
        "thumbnail_url": None,
    }


def scene_records(job: Job) -> list[dict[str, Any]]:
    """Return the scenes that an index has found."""
    length, seconds = job.media.length, job.options["seconds"]
    return [
        {"start": float(start), "end": float(min(start + seconds, length)), "description": "A scene."}
        for start in range(0, length, seconds)
    ]
