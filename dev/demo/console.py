"""What the demo prints: plain lines anywhere, colours on a terminal only."""

from __future__ import annotations

import os
import sys

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def styled(text: str, style: str) -> str:
    """Return the text in a style, or as it is where nobody could see the style."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{_CODES[style]}m{text}\033[0m"


def number(value: object) -> str:
    """Spell a figure without a needless fraction: 23, not 23.0."""
    return f"{float(str(value)):g}"
