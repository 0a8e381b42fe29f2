from __future__ import annotations

import pytest
import requests

from airflow_provider_videodb.emulator.server import Emulator


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


class Api:
    """A client of the emulator with the right key. It follows no redirect."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["x-access-token"] = emulator.api_key

    def __call__(self, method, path, **options):
        options = {"timeout": 10, "allow_redirects": False} | options
        return self.session.request(method, self.emulator.base_url + path, **options)

    def get(self, path, **options):
        return self("GET", path, **options)

    def post(self, path, json=None, **options):
        return self("POST", path, json=json, **options)


@pytest.fixture
def api(emulator):
    return Api(emulator)


@pytest.fixture
def control(emulator):
    """Call the control API, which needs no key."""

    def call(method, path, json=None):
        return requests.request(method, f"{emulator.base_url}/_emulator{path}", json=json, timeout=60)

    return call
