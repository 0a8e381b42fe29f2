"""A command line on a real database."""

from __future__ import annotations

import functools
import io
import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A person who types these lines."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def videodb(
    airflow_db: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Return a function that runs `python -m airflow_provider_videodb …` on a database without records."""
    from airflow_provider_videodb.__main__ import main

    def run(*arguments: str, types: str | None = None) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO() if types is None else Terminal(types))
        status = 0
        try:
            main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return run


@pytest.fixture
def holds(videodb: Callable[..., Ran]) -> Callable[..., Ran]:
    """Return a function that runs `python -m airflow_provider_videodb holds …`."""
    return functools.partial(videodb, "holds")


@pytest.fixture
def limits(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the extra of the connection."""

    def set_limits(**extra: object) -> None:
        connection = json.loads(emulator.connection_json) | {"extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))

    return set_limits
