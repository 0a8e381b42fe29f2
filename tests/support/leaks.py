"""Find pieces of a secret in what a program left behind."""

from __future__ import annotations

import html
import json
import sqlite3
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from cryptography.fernet import Fernet, InvalidToken

if TYPE_CHECKING:
    from pathlib import Path

#: A piece of this many characters is too much.
PIECE = 12
#: A piece of the length above has a part of this length at a multiple of the step.
_PART = 6
_STEP = PIECE - _PART + 1
#: Every Fernet token begins with these characters.
_FERNET = b"gAAAA"


class Scanner:
    """
    Finds pieces of a secret, however they are spelt.

    :param secret: long, random, and in ASCII.
    """

    def __init__(self, secret: str) -> None:
        self._forms = {name: form.encode().lower() for name, form in _forms(secret).items()}

    def found_in(self, text: bytes, *, piece: int = PIECE) -> str | None:
        """
        Return the first piece, its spelling and its place.

        :param piece: the number of characters that are too many.
        :return: ``None`` if there is none.
        """
        text = text.lower()
        for name, form in self._forms.items():
            for start in range(0, len(form) - _PART + 1, _STEP):
                at = text.find(form[start : start + _PART])
                while at >= 0:
                    shared = _shared(text, at, form, start)
                    if len(shared) >= piece:
                        around = text[max(0, at - 60) : at + 80]
                        return f"{shared!r} ({name}) in {around!r}"
                    at = text.find(form[start : start + _PART], at + 1)
        return None


def _forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    shifted = {f"base64 after {n} bytes": b64encode(b"\0" * n + raw).decode()[2 + n :] for n in (1, 2)}
    return {
        "plain": secret,
        "JSON": json.dumps(secret)[1:-1],
        "JSON twice": json.dumps(json.dumps(secret))[3:-3],
        "repr": repr(secret)[1:-1],
        "repr of bytes": repr(raw)[2:-1],
        "HTML": html.escape(secret),
        "URL": quote(secret, safe=""),
        "URL path": quote(secret),
        "URL query": quote_plus(secret),
        "hexadecimal": raw.hex(),
        "base64": b64encode(raw).decode().rstrip("="),
        "base64 of URLs": b64encode(raw, altchars=b"-_").decode().rstrip("="),
        **shifted,
    }


def _shared(text: bytes, at: int, form: bytes, start: int) -> bytes:
    """Return the longest run that text and form share around these places."""
    before = 0
    while min(at, start) > before and text[at - before - 1] == form[start - before - 1]:
        before += 1
    after = 0
    while start + after < len(form) and at + after < len(text) and text[at + after] == form[start + after]:
        after += 1
    return text[at - before : at + after]


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder as bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cells_of(database: Path, fernet_key: str) -> dict[str, bytes]:
    """
    Return every table of a SQLite database as text, decrypted.

    :param fernet_key: Airflow's key, which encrypts Variables and the arguments of triggers.
    """
    fernet = Fernet(fernet_key.encode())
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        # Some text of Airflow's is not UTF-8.
        connection.text_factory = bytes
        names = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    connection.close()
    return {name: b"\n".join(_plain(cell, fernet) for row in rows for cell in row) for name, rows in tables.items()}


def _plain(cell: object, fernet: Fernet) -> bytes:
    text = cell if isinstance(cell, bytes) else str(cell).encode()
    bare = text.strip(b'"')
    if bare.startswith(_FERNET):
        try:
            return fernet.decrypt(bare)
        except InvalidToken:
            return text
    return text
