"""What was uploaded and indexed, and what that costs in credits. No HTTP, no wall clock; callers hold a lock."""

from __future__ import annotations

import secrets
import zlib
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_videodb.emulator.http.errors import NotFoundError

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.account.ledger import Ledger
    from airflow_provider_videodb.emulator.settings import Settings

MediaKind = Literal["video", "audio", "image"]

# VideoDB's ids tell the kind: the SDK chooses the class of an uploaded object by them.
_PREFIXES: dict[MediaKind, str] = {"video": "m-z", "audio": "a-z", "image": "img-z"}
_SUFFIXES: dict[str, MediaKind] = {
    **dict.fromkeys((".mp3", ".wav", ".m4a", ".aac", ".flac", ".ogg"), "audio"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp"), "image"),
}
_SHORTEST, _LONGEST = 60, 600
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_SCENE = 10
_TRANSCRIPT = "this transcript was made up by the emulator"


@dataclass
class Media:
    """An uploaded file; `length` in seconds."""

    id: str
    kind: MediaKind
    collection_id: str
    name: str
    description: str
    length: Decimal
    has_speech_index: bool = False
    scene_indexes: dict[str, str] = field(default_factory=dict)

    @property
    def scenes(self) -> int:
        """How many scenes an index of this video has."""
        return int((self.length / _SECONDS_PER_SCENE).to_integral_value(ROUND_CEILING))


@dataclass
class Collection:
    """A named set of media."""

    id: str
    name: str
    description: str
    is_public: bool = False


class Library:
    """
    Collections and media of one account.

    :param ledger: pays for everything; what it refuses to pay is not done.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._default = Collection(id="default", name="Default", description="The emulator's default collection")
        self._collections = {self._default.id: self._default}
        self._media: dict[str, Media] = {}

    def collections(self) -> list[Collection]:
        """Return every collection."""
        return list(self._collections.values())

    def collection(self, collection_id: str) -> Collection:
        """Return one collection."""
        try:
            return self._collections[collection_id]
        except KeyError:
            raise NotFoundError(f"no collection {collection_id}") from None

    def create_collection(self, name: str, description: str, *, is_public: bool) -> Collection:
        """Return a new, empty collection."""
        collection = Collection(id=f"c-{secrets.token_hex(8)}", name=name, description=description, is_public=is_public)
        self._collections[collection.id] = collection
        return collection

    def upload(self, collection_id: str, *, source: str, name: str, description: str, kind: MediaKind | None) -> Media:
        """Charge for an upload and return the new media."""
        self.collection(collection_id)
        self._ledger.charge(self._settings.price_upload, "upload")
        kind = kind or kind_of(source)
        media = Media(
            id=f"{_PREFIXES[kind]}-{secrets.token_hex(8)}",
            kind=kind,
            collection_id=collection_id,
            name=name or PurePosixPath(urlsplit(source).path).stem or "untitled",
            description=description,
            length=self._length(source),
        )
        self._media[media.id] = media
        return media

    def all(self, kind: MediaKind, collection_id: str) -> list[Media]:
        """Return the media of one kind in a collection."""
        self.collection(collection_id)
        return [m for m in self._media.values() if m.kind == kind and m.collection_id == collection_id]

    def media(self, kind: MediaKind, media_id: str) -> Media:
        """Return one of the media."""
        media = self._media.get(media_id)
        if media is None or media.kind != kind:
            raise NotFoundError(f"no {kind} {media_id}")
        return media

    def delete(self, kind: MediaKind, media_id: str) -> None:
        """Forget one of the media."""
        del self._media[self.media(kind, media_id).id]

    def index_speech(self, video_id: str, *, force: bool) -> Media:
        """Charge for indexing speech; what is indexed already is not charged again unless forced."""
        video = self.media("video", video_id)
        if force or not video.has_speech_index:
            self._ledger.charge(self._speech_price(video), "index_spoken_words")
            video.has_speech_index = True
        return video

    def index_scenes(self, video_id: str, *, name: str) -> str:
        """Charge for indexing scenes and return the id of the new scene index."""
        video = self.media("video", video_id)
        self._ledger.charge(self._scene_price(video), "index_scenes")
        index_id = secrets.token_hex(8)
        video.scene_indexes[index_id] = name or f"scenes {len(video.scene_indexes) + 1}"
        return index_id

    @property
    def _settings(self) -> Settings:
        return self._ledger.settings

    def _length(self, source: str) -> Decimal:
        if self._settings.video_length is not None:
            return self._settings.video_length
        # The same source always lasts the same.
        return Decimal(_SHORTEST + zlib.crc32(source.encode()) % (_LONGEST - _SHORTEST))

    def _speech_price(self, video: Media) -> Decimal:
        minutes = (video.length / _SECONDS_PER_MINUTE).to_integral_value(ROUND_CEILING)
        return self._price(minutes * self._settings.price_speech_minute)

    def _scene_price(self, video: Media) -> Decimal:
        return self._price(video.scenes * self._settings.price_scene)

    def _price(self, dollars: Decimal) -> Decimal:
        if self._settings.price_index is not None:
            return self._settings.price_index
        return dollars * self._settings.credits_per_dollar


def kind_of(source: str) -> MediaKind:
    """Return what a source is by its name: a video unless it says otherwise."""
    return _SUFFIXES.get(PurePosixPath(urlsplit(source).path).suffix.lower(), "video")


def word_timestamps() -> list[dict[str, Any]]:
    """Return the transcript every video has."""
    return [
        {"start": float(second), "end": second + 1.0, "text": word} for second, word in enumerate(_TRANSCRIPT.split())
    ]


def scene_records(video: Media) -> list[dict[str, Any]]:
    """Return the descriptions every scene index has."""
    return [
        {
            "start": float(number * _SECONDS_PER_SCENE),
            "end": min((number + 1.0) * _SECONDS_PER_SCENE, float(video.length)),
            "description": f"scene {number + 1} of {video.name}, made up by the emulator",
        }
        for number in range(video.scenes)
    ]
