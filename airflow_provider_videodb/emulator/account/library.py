"""The uploaded videos and their indexing jobs. Callers hold the lock."""

from __future__ import annotations

import secrets
import zlib
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from airflow_provider_videodb.emulator.errors import InsufficientCreditsError, InvalidValueError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_videodb.emulator.account.ledger import Ledger

JobStatus = Literal["processing", "done", "failed"]

_SHORTEST, _LONGEST = 60, 600
_SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Video:
    """An uploaded video; `length` is seconds."""

    id: str
    name: str
    description: str
    length: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """An indexing job. It fails at `ends_at` if it has a `failure`."""

    id: str
    video_id: str
    ends_at: datetime
    failure: str | None


class Library:
    """
    The videos of one account.

    :param now: returns emulator time.
    :param ledger: charges for indexing.
    """

    def __init__(self, now: Callable[[], datetime], ledger: Ledger) -> None:
        self._now = now
        self._ledger = ledger
        self._videos: dict[str, Video] = {}
        self._jobs: dict[str, Job] = {}

    def upload(self, *, source: str, name: str, description: str) -> Video:
        """Add a video. Its source is never fetched."""
        video = Video(
            # VideoDB's SDK recognises a video by this prefix.
            id=f"m-z-{secrets.token_hex(8)}",
            name=name or PurePosixPath(urlsplit(source).path).stem or "untitled",
            description=description,
            # The checksum gives the same source the same length in every run.
            length=_SHORTEST + zlib.crc32(source.encode()) % (_LONGEST - _SHORTEST),
        )
        self._videos[video.id] = video
        return video

    def index_speech(self, video_id: str, *, force: bool) -> Job:
        """
        Charge for an indexing job and start it.

        While a job is processing, a second call starts and charges a second job, as VideoDB does. Without enough
        credits the call raises, or the job fails later, as the setting `on_shortage` says.
        """
        video = self._videos.get(video_id)
        if video is None:
            raise NotFoundError(f"no video {video_id}")
        done = any(job.video_id == video_id and self.status(job) == "done" for job in self._jobs.values())
        if done and not force:
            raise InvalidValueError(f"video {video_id} is already indexed")
        settings = self._ledger.settings
        failure = None
        try:
            self._ledger.charge(self._price(video), "index_spoken_words")
        except InsufficientCreditsError as shortage:
            if settings.on_shortage == "refuse":
                raise
            failure = str(shortage)
        ends_at = self._now() + timedelta(seconds=float(settings.index_duration))
        job = Job(id=f"job-{secrets.token_hex(8)}", video_id=video_id, ends_at=ends_at, failure=failure)
        self._jobs[job.id] = job
        return job

    def job(self, job_id: str) -> Job:
        """Return one indexing job."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFoundError(f"no job {job_id}") from None

    def status(self, job: Job) -> JobStatus:
        """Return the status of a job at this moment."""
        if self._now() < job.ends_at:
            return "processing"
        return "done" if job.failure is None else "failed"

    def _price(self, video: Video) -> Decimal:
        settings = self._ledger.settings
        if settings.price_index is not None:
            return settings.price_index
        minutes = (Decimal(video.length) / _SECONDS_PER_MINUTE).to_integral_value(ROUND_CEILING)
        return minutes * settings.price_speech_minute * settings.credits_per_dollar
