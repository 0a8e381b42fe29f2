"""
The jobs of one account, and what they cost. Callers hold the lock.

VideoDB charges a job when it accepts it. It has no call that cancels one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_videodb.emulator.account.media import media_from
from airflow_provider_videodb.emulator.errors import InsufficientCreditsError, InvalidValueError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_videodb.emulator.account.ledger import Ledger
    from airflow_provider_videodb.emulator.account.media import Media, MediaType

JobKind = Literal["upload", "index_spoken_words", "index_scenes", "transcription"]
JobStatus = Literal["processing", "done", "failed"]

#: Seconds of a scene if the request does not say it.
DEFAULT_SCENE = 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    A job that VideoDB has accepted.

    :param ends_at: when it ends. None for a job that never ends.
    :param failure: why it fails at its end. None for a job that succeeds.
    :param options: what the request asked for, besides `force`.
    :param callback_url: where the emulator says that it has ended. Empty if nobody asked.
    """

    id: str
    kind: JobKind
    media: Media
    started_at: datetime
    ends_at: datetime | None
    failure: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    callback_url: str = ""

    @property
    def result_id(self) -> str:
        """The id of the scene index that the job makes."""
        return f"si-{self.id.removeprefix('job-')}"


class Jobs:
    """
    The uploads and indexing jobs of one account.

    :param now: returns emulator time.
    :param ledger: is charged for each job.
    """

    def __init__(self, now: Callable[[], datetime], ledger: Ledger) -> None:
        self._now = now
        self._ledger = ledger
        self._jobs: dict[str, Job] = {}
        self._callbacks: dict[str, Job] = {}

    def upload(self, source: str, *, kind: MediaType, name: str, description: str, callback_url: str = "") -> Job:
        """Start an upload, which is free."""
        media = media_from(source, kind=kind, name=name, description=description, at=self._now())
        return self._start("upload", media, self._ledger.settings.upload_duration, callback_url=callback_url)

    def index_speech(self, video_id: str, *, force: bool, callback_url: str = "") -> Job:
        """Start and charge an index of spoken words."""
        return self._speech("index_spoken_words", video_id, force=force, callback_url=callback_url)

    def transcribe(self, video_id: str, *, force: bool, callback_url: str = "") -> Job:
        """Start and charge a transcript. It costs a speech index."""
        return self._speech("transcription", video_id, force=force, callback_url=callback_url)

    def index_scenes(
        self,
        video_id: str,
        options: dict[str, Any],
        *,
        seconds: int = DEFAULT_SCENE,
        force: bool = False,
        callback_url: str = "",
    ) -> Job:
        """
        Start and charge an index of scenes.

        :param options: a finished index with the same options is not made again.
        :param seconds: length of a scene.
        """
        video = self.video(video_id)
        options = options | {"seconds": seconds}
        if not force:
            self._refuse_twice("index_scenes", video, options)
        dollars = self._ledger.settings.price_scene * parts_of(video, seconds)
        return self._paid("index_scenes", video, dollars, options, callback_url)

    def job(self, job_id: str) -> Job:
        """Return one job, unless `response_ttl` has removed it."""
        job = self._jobs.get(job_id)
        if job is None or self._is_gone(job):
            raise NotFoundError(f"no job {job_id}")
        return job

    def of_video(self, video_id: str, kind: JobKind) -> list[Job]:
        """Return the jobs of one kind for a video, newest first."""
        self.video(video_id)
        return [job for job in reversed(self._jobs.values()) if (job.kind, job.media.id) == (kind, video_id)]

    def videos(self) -> list[Media]:
        """Return every video whose upload is complete, newest first."""
        uploads = [job for job in reversed(self._jobs.values()) if job.kind == "upload" and self.status(job) == "done"]
        return [job.media for job in uploads if job.media.type == "video"]

    def video(self, video_id: str) -> Media:
        """Return one video whose upload is complete."""
        for video in self.videos():
            if video.id == video_id:
                return video
        raise NotFoundError(f"no video {video_id}")

    def status(self, job: Job) -> JobStatus:
        """Return the status of a job at this moment."""
        if job.ends_at is None or self._now() < job.ends_at:
            return "processing"
        return "done" if job.failure is None else "failed"

    def percentage(self, job: Job) -> int:
        """Return the progress of a job. A job that never ends stays at 0."""
        if job.ends_at is None:
            return 0
        whole = (job.ends_at - job.started_at).total_seconds()
        return min(100, int(100 * (self._now() - job.started_at).total_seconds() / whole)) if whole else 100

    def take_due_callbacks(self) -> list[Job]:
        """Return the ended jobs whose callback has not been sent, once."""
        due = [job for job in self._callbacks.values() if self.status(job) != "processing"]
        for job in due:
            del self._callbacks[job.id]
        return due

    def next_callback_at(self) -> datetime | None:
        """Return when the next job with a callback ends. None if no such job ends."""
        return min((job.ends_at for job in self._callbacks.values() if job.ends_at is not None), default=None)

    def _speech(self, kind: JobKind, video_id: str, *, force: bool, callback_url: str) -> Job:
        """
        Start and charge a job that reads the whole sound.

        While a job is processing, a second call starts and charges a second job, as VideoDB does.
        """
        video = self.video(video_id)
        if not force:
            self._refuse_twice(kind, video, {})
        dollars = self._ledger.settings.price_speech_minute * parts_of(video, 60)
        return self._paid(kind, video, dollars, {}, callback_url)

    def _refuse_twice(self, kind: JobKind, video: Media, options: dict[str, Any]) -> None:
        for job in self.of_video(video.id, kind):
            if self.status(job) == "done" and job.options == options:
                if kind == "transcription":
                    raise InvalidValueError(f"the transcript of video {video.id} already exists")
                raise InvalidValueError(f"video {video.id} is already indexed: {kind}")

    def _paid(self, kind: JobKind, video: Media, dollars: Decimal, options: dict[str, Any], callback_url: str) -> Job:
        settings = self._ledger.settings
        price = dollars * settings.credits_per_dollar if settings.price_index is None else settings.price_index
        failure = None
        try:
            self._ledger.charge(price, kind)
        except InsufficientCreditsError as shortage:
            if settings.on_shortage == "refuse":
                raise
            failure = str(shortage)
        return self._start(
            kind, video, settings.index_duration, failure=failure, options=options, callback_url=callback_url
        )

    def _start(
        self,
        kind: JobKind,
        media: Media,
        duration: Decimal | None,
        *,
        failure: str | None = None,
        options: dict[str, Any] | None = None,
        callback_url: str,
    ) -> Job:
        now = self._now()
        job = Job(
            id=f"job-{secrets.token_hex(8)}",
            kind=kind,
            media=media,
            started_at=now,
            ends_at=None if duration is None else now + timedelta(seconds=float(duration)),
            failure=failure,
            options=options or {},
            callback_url=callback_url,
        )
        self._jobs[job.id] = job
        if callback_url:
            self._callbacks[job.id] = job
        return job

    def _is_gone(self, job: Job) -> bool:
        ttl = self._ledger.settings.response_ttl
        if ttl is None or job.ends_at is None:
            return False
        return self._now() >= job.ends_at + timedelta(seconds=float(ttl))


def parts_of(video: Media, seconds: int) -> int:
    """Count the parts of a video. The last one may be shorter."""
    return int((Decimal(video.length) / seconds).to_integral_value(ROUND_CEILING))
