from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Triggers run in asyncio, and there alone."""
    return "asyncio"
