"""The entries of `docs/troubleshooting.md`, and what a search for a line of a log finds there."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
#: The sections that do not describe errors of this package.
_FOREIGN = ("Errors of Airflow itself", "Emulator")
#: A heading has quotes where a code span cannot hold backquotes.
QUOTES = str.maketrans("`", "'")
#: What an entry stands under: its first line, and further lines with the same cure.
_HEAD = re.compile(r"^(?:### |Also )`(.+)`$", re.MULTILINE)


def heads() -> list[str]:
    """Return the lines that the page describes, without those of Airflow."""
    sections = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    own = [text for title, text in zip(sections[1::2], sections[2::2], strict=True) if title not in _FOREIGN]
    return [line for text in own for line in _HEAD.findall(text)]


def entries_for(line: str) -> list[str]:
    """
    Return the headings of the entries that a person finds with a line of the log.

    The person searches the page for the longest run of words that the line has in common with a heading, of at least
    three words.
    """
    words = line.translate(QUOTES).split()
    entries = [_HEAD.findall("### " + text) for text in PAGE.split("\n### ")[1:]]
    for size in range(len(words), 2, -1):
        runs = [" ".join(words[start : start + size]).rstrip(".,:;") for start in range(len(words) - size + 1)]
        found = [entry[0] for entry in entries if any(run in head for head in entry for run in runs)]
        if found:
            return found
    return []
