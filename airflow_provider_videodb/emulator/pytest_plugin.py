"""
The pytest fixture `videodb_emulator`.

pytest imports this module in every test run on a machine with the provider, so it imports only pytest.
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
    Run a new emulator with 3 credits for one test.

    Every test gets a new server on a new port. A thread that an earlier test left running therefore meets a closed
    port and cannot appear in this test's call log.
    """
    from airflow_provider_videodb.emulator.server import Emulator

    with Emulator() as emulator:
        yield emulator
