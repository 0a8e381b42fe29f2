"""Writes tables, ages and moments. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))


def to_iso(ms: int) -> str:
    """Return milliseconds since 1970 as ISO 8601 in UTC."""
    return str(to_iso_moment(datetime.fromtimestamp(ms / 1000, UTC)))


def to_age(ms: int) -> str:
    """Write a duration, such as ``2 h 5 min``."""
    left = max(0, ms)
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def to_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """
    Return aligned lines, without the empty columns.

    Lines are not wrapped, so that an id can be copied and a line can be searched.
    """
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    columns = [column for column in range(len(head)) if any(row[column] for row in cells)]
    lines = [[head[column] for column in columns], *([row[column] for column in columns] for row in cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def to_blocks(head: Sequence[str], rows: Sequence[tuple[Sequence[object], Sequence[str]]]) -> list[str]:
    """
    Return aligned lines, with long texts below them.

    A link is the whole of its line, so that it can be clicked.

    :param rows: the cells of each line, and its texts.
    """
    aligned = to_table(head, [cells for cells, _ in rows])
    lines = aligned[:1]
    for line, (_, texts) in zip(aligned[1:], rows, strict=True):
        lines += [line, *(text if is_link(text) else f"  {printable(text)}" for text in texts)]
    return lines


def is_link(text: str) -> bool:
    """Say whether a text is a link."""
    return text.startswith(("https://", "http://"))


def to_minute(moment: datetime | None) -> str | None:
    """Write a moment in UTC: ``2026-11-26 07:12 UTC``."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def to_iso_moment(moment: datetime | None) -> str | None:
    """
    Return a moment in ISO 8601 and UTC.

    It has whole seconds.
    """
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """Return the text without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
