"""What an upload makes. Its source is never fetched."""

from __future__ import annotations

import secrets
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from datetime import datetime

MediaType = Literal["video", "audio", "image"]

# VideoDB's SDK recognises the type by the prefix of the id.
_PREFIXES: dict[MediaType, str] = {"video": "m", "audio": "a", "image": "img"}
_SHORTEST, _LONGEST = 60, 600
_BYTES_PER_SECOND, _BYTES_OF_IMAGE = 250_000, 400_000


@dataclass(frozen=True, kw_only=True)
class Media:
    """
    An upload.

    :param length: in seconds. 0 for an image.
    """

    id: str
    type: MediaType
    name: str
    description: str
    length: int
    created_at: datetime

    @property
    def size(self) -> int:
        """The size in bytes, made up from the length."""
        return self.length * _BYTES_PER_SECOND or _BYTES_OF_IMAGE


def media_from(source: str, *, kind: MediaType, name: str, description: str, at: datetime) -> Media:
    """Return what an upload from this URL makes."""
    return Media(
        id=f"{_PREFIXES[kind]}-z-{secrets.token_hex(8)}",
        type=kind,
        name=name or PurePosixPath(urlsplit(source).path).stem or "untitled",
        description=description,
        # The checksum gives the same source the same length in every run.
        length=0 if kind == "image" else _SHORTEST + zlib.crc32(source.encode()) % (_LONGEST - _SHORTEST),
        created_at=at,
    )
