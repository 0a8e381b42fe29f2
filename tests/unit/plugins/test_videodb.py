"""What each process of Airflow loads for the page, and what the API server shows of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_videodb
from airflow_provider_videodb.plugins.videodb import LazyApp, VideoDBPlugin

STATIC = Path(airflow_provider_videodb.__file__).parent / "web" / "static"


def in_a_new_process(code, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_plugin_loads_nothing_heavy():
    loaded = in_a_new_process(
        "import json, sys, airflow.configuration\n"
        "try: import airflow.sdk.plugins_manager\n"
        "except ImportError: import airflow.plugins_manager\n"  # Airflow 3.1
        "before = set(sys.modules)\n"
        "import airflow_provider_videodb.plugins.videodb\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert [name for name in loaded if name.startswith("airflow_provider_videodb.")] == [
        "airflow_provider_videodb.plugins",
        "airflow_provider_videodb.plugins.videodb",
    ]
    assert not [name for name in loaded if name.split(".")[0] in {"fastapi", "starlette", "requests", "sqlalchemy"}]


@pytest.mark.parametrize(
    ("base_url", "root"),
    [("", "/videodb"), ("http://a.example:8080", "/videodb"), ("https://a.example/airflow/", "/airflow/videodb")],
)
def test_addresses_contain_the_path_of_airflow(base_url, root):
    [page] = in_a_new_process(
        "import json; from airflow_provider_videodb.plugins.videodb import VideoDBPlugin;"
        "print(json.dumps(VideoDBPlugin.react_apps))",
        AIRFLOW__API__BASE_URL=base_url,
    )
    assert page["bundle_url"] == f"{root}/static/credits.js"
    assert page["icon"] == f"{root}/static/videodb.svg"


def test_files_that_the_plugin_names_exist():
    [page] = VideoDBPlugin.react_apps
    for address in (page["bundle_url"], page["icon"]):
        assert (STATIC / address.rpartition("/")[2]).is_file()


def test_module_leaves_its_component_under_the_name_of_the_page():
    [page] = VideoDBPlugin.react_apps
    assert f"globalThis.{page['name']} = " in (STATIC / "credits.js").read_text()


def test_application_is_built_at_the_first_request(airflow_db):
    from fastapi.testclient import TestClient

    [entry] = VideoDBPlugin.fastapi_apps
    assert entry["url_prefix"] == "/videodb"
    app = LazyApp()
    assert app._app is None
    client = TestClient(app)
    assert client.get("/paid").status_code == 200
    built = app._app
    assert client.get("/static/credits.js").status_code == 200
    assert app._app is built is not None


def test_application_that_fails_to_build_is_built_again(monkeypatch):
    from airflow_provider_videodb.web import app as module

    async def nothing(*_):
        return None

    def fails():
        raise RuntimeError("the first time")

    lazy = LazyApp()
    monkeypatch.setattr(module, "create_app", fails)
    with pytest.raises(RuntimeError, match="the first time"):
        asyncio.run(lazy({}, nothing, nothing))
    monkeypatch.setattr(module, "create_app", lambda: nothing)
    asyncio.run(lazy({}, nothing, nothing))
    assert lazy._app is nothing
