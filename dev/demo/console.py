"""Printing: colours on a terminal, plain text elsewhere."""

from __future__ import annotations

import os
import sys

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def say(text: str = "") -> None:
    """Print a line without buffering it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def styled(text: str, style: str) -> str:
    """Colour the text if it goes to a terminal."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{_CODES[style]}m{text}\033[0m"


def number(value: object) -> str:
    """Format 23.0 as 23."""
    return f"{float(str(value)):g}"


def count(how_many: int, noun: str) -> str:
    """Return `1 checkout` or `2 checkouts`."""
    return f"{how_many} {noun}{'' if how_many == 1 else 's'}"
