"""Hides a secret in text that a server sent. Pure."""

from __future__ import annotations

import html
import re
import string
from base64 import b64encode
from urllib.parse import quote

_HIDDEN = "***"
#: In quoted text, this many characters in a row that also occur in the key are hidden.
QUOTED_RUN = 8
_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
#: How many bytes may precede the secret in a base64 group, and how many characters then mix both.
_BASE64_STEPS = ((0, 0), (1, 2), (2, 3))


class Redactor:
    """
    Hides every part of a secret in a text.

    A part is a run of characters that text and secret share. Runs are compared instead of the whole secret, because
    somebody may have cut or escaped the text before. The secret is recognized plain, escaped with backslashes,
    percent-encoded, as HTML, hexadecimal and base64, in upper and lower case.

    :param secret: the secret, in ASCII.
    :param run: the number of characters in the shortest run that is hidden. A shorter secret is not hidden.
    """

    def __init__(self, secret: str, *, run: int) -> None:
        forms = [_bare(form) for form in _forms(secret)] if len(secret) >= run else []
        self._part = run // 2
        # A text that has a whole run has one of its halves at a multiple of this step.
        self._step = run - self._part + 1
        self._parts = {part for form in forms for part in _runs_of(form, self._part)}
        runs = sorted({each for form in forms for each in _runs_of(form, run)})
        spelt = ("\\\\*".join(map(re.escape, each)) for each in runs)
        # A lookahead finds overlapping runs too. It is slow, so the halves sort out most texts first.
        self._runs = re.compile(f"(?=({'|'.join(spelt)}))", re.IGNORECASE | re.ASCII)

    def __call__(self, text: str) -> str:
        """Return ``text`` with ``***`` for each run."""
        bare, part = _bare(text), self._part
        if not any(bare[at : at + part] in self._parts for at in range(0, len(bare), self._step)):
            return text
        shown: list[str] = []
        end = 0
        for found in self._runs.finditer(text):
            start, stop = found.span(1)
            if start > end or not shown:
                shown += [text[end:start], _HIDDEN]
            end = max(end, stop)
        return "".join([*shown, text[end:]])


def _bare(text: str) -> str:
    """Remove the backslashes that repr and JSON insert, and lower the case."""
    return text.replace("\\", "").translate(_TO_LOWER)


def _runs_of(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(len(text) - length + 1)]


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    forms = [secret, quote(secret), quote(secret, safe=""), html.escape(secret), raw.hex()]
    for before, mixed in _BASE64_STEPS:
        # The last two characters depend on the bytes after the secret.
        standard = b64encode(b"\0" * before + raw).decode().rstrip("=")[mixed:-2]
        forms += [standard, standard.translate(str.maketrans("+/", "-_"))]
    return forms
