"""Hiding a secret in text that comes from elsewhere. Pure."""

from __future__ import annotations

import html
import re
import string
from base64 import b64encode
from urllib.parse import quote

_HIDDEN = "***"
_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
#: By how many bytes before a secret base64 is out of step, and how many of its first characters mix both.
_BASE64_STEPS = ((0, 0), (1, 2), (2, 3))


class Redactor:
    """
    Hides every run of characters that a text has in common with a secret.

    Runs are compared, not the whole secret, so a text that somebody cut or escaped before is as safe as a whole one.
    The secret is known plain, escaped with backslashes, percent-encoded, as HTML, hexadecimal and in base64, in
    either case of letters.

    :param secret: what to hide, in ASCII.
    :param run: how many characters in a row are hidden; a shorter secret is not looked for.
    """

    def __init__(self, secret: str, *, run: int) -> None:
        forms = [_bare(form) for form in _forms(secret)] if len(secret) >= run else []
        self._part = run // 2
        # Whatever holds a whole run holds one of its halves at every so many characters.
        self._step = run - self._part + 1
        self._parts = {part for form in forms for part in _runs_of(form, self._part)}
        runs = sorted({each for form in forms for each in _runs_of(form, run)})
        spelt = ("\\\\*".join(map(re.escape, each)) for each in runs)
        # Looked for ahead, so that runs which overlap are all found. It is slow, so few texts get as far.
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
    """Return a text without its backslashes, which repr and JSON put between the characters of a secret."""
    return text.replace("\\", "").translate(_TO_LOWER)


def _runs_of(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(len(text) - length + 1)]


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    forms = [secret, quote(secret), quote(secret, safe=""), html.escape(secret), raw.hex()]
    for before, mixed in _BASE64_STEPS:
        # The last two characters depend on what follows the secret.
        standard = b64encode(b"\0" * before + raw).decode().rstrip("=")[mixed:-2]
        forms += [standard, standard.translate(str.maketrans("+/", "-_"))]
    return forms
