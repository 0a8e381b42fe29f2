"""
The fixture `videodb_emulator`, for anybody's tests.

pytest loads this module in every run of whoever has the provider installed, so it imports pytest and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.emulator.server import Emulator


@pytest.fixture
def videodb_emulator() -> Iterator[Emulator]:
    """
    Give a running `airflow_provider_videodb.emulator.server.Emulator` with 3 credits, new for every test.

    It is a server of its own with a port of its own, and not one server that is reset: a thread that an earlier test
    left behind finds a closed port, instead of showing up in this test's log.
    """
    from airflow_provider_videodb.emulator.server import Emulator

    with Emulator() as emulator:
        yield emulator
