"""A command line on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.hold_flags import forget_holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def holds(airflow_db: None, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ran]]:
    """Return a function that runs `python -m airflow_provider_videodb holds …` on a database without holds."""
    from airflow_provider_videodb.__main__ import main

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        status = 0
        try:
            main(["holds", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    forget_holds()
    yield run
    forget_holds()
