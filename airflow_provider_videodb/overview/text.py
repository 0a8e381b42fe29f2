"""Writes tables, ages and moments. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))


def to_iso(ms: int) -> str:
    """Return milliseconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def to_age(ms: int) -> str:
    """Write milliseconds in two units, such as ``2 h 5 min``."""
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


def printable(text: str) -> str:
    """Return the text without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
