from __future__ import annotations

import time

import pytest
import videodb

URL = "https://example.com/talks/keynote.mp4"


@pytest.fixture
def connection(emulator):
    return videodb.connect(api_key=emulator.api_key, base_url=emulator.base_url)


@pytest.fixture
def video(emulator, connection):
    """Upload a video whose index costs 2 of the 3 credits."""
    emulator.change_settings(price_index=2)
    return connection.get_collection().upload(url=URL)


@pytest.fixture
def submit(connection, video):
    """Submit an indexing job without waiting for it, and return its id."""
    return lambda: connection.post(f"video/{video.id}/index", {"index_type": "spoken_word"}, wait=False)["id"]


@pytest.fixture
def sleeps(emulator, monkeypatch):
    """Let the SDK's pauses pass in emulator time."""
    seconds = []
    monkeypatch.setattr(time, "sleep", lambda pause: (seconds.append(pause), emulator.advance(pause)))
    return seconds
