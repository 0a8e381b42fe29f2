"""The scanner for leaks finds a piece of a key in every spelling, and nothing in other text."""

from __future__ import annotations

import base64
import html
import json
import secrets
import sqlite3
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from tests.support.leaks import PIECE, Scanner, cells_of

KEY = "sk-5e1c07\"<a94f2b6d\\&80e3d7c1'%9b2a64f0+d8135e/="
SPELLINGS = {
    "plain": str,
    "upper case": str.upper,
    "JSON": json.dumps,
    "JSON twice": lambda text: json.dumps(json.dumps(text)),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "HTML": html.escape,
    "URL": lambda text: quote(text, safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in the middle": lambda text: base64.b64encode(b"user:" + text.encode() + b"!").decode(),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(b"u" + text.encode()).decode(),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_key_is_found_in_each_spelling(spell):
    assert Scanner(KEY).found_in(f"noise {spell(KEY)} noise".encode())


@pytest.mark.parametrize("start", range(len(KEY) - PIECE + 1))
def test_each_piece_of_the_key_is_found(start):
    assert Scanner(KEY).found_in(b"x" + KEY[start : start + PIECE].encode() + b"x")


def test_shorter_piece_and_other_text_are_no_leak():
    pieces = " ".join(KEY[start : start + PIECE - 1] for start in range(len(KEY)))
    noise = " ".join(secrets.token_urlsafe(40) for _ in range(1000))
    assert Scanner(KEY).found_in(f"{pieces} {noise}".encode()) is None


def test_encrypted_cell_of_a_database_is_read(tmp_path):
    key = Fernet.generate_key()
    with sqlite3.connect(tmp_path / "airflow.db") as connection:
        connection.execute("CREATE TABLE variable (val)")
        connection.execute("INSERT INTO variable VALUES (?)", (Fernet(key).encrypt(KEY.encode()).decode(),))
    connection.close()
    cells = cells_of(tmp_path / "airflow.db", key.decode())
    assert Scanner(KEY).found_in(cells["variable"])
