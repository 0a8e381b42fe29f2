"""The images and the compose file agree with the code. Docker itself is not run."""

from __future__ import annotations

import json
import re
import sys

import pytest
import yaml

from airflow_provider_videodb.emulator import __main__ as command
from airflow_provider_videodb.emulator.settings import DEFAULT_API_KEY
from dev.matrix.cells import Release
from tests.support.commands import check_variable
from tests.support.dists import ROOT
from tests.support.source import imports_of

FOLDER = ROOT / "docker"
DOCKERFILE = re.sub(r" \\\n\s*", " ", (FOLDER / "Dockerfile").read_text())
ARGUMENTS = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
STAGES = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


@pytest.fixture
def options():
    """Return what the command reads from the image and from the compose file."""
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", STAGES["emulator"], re.MULTILINE)
    program, *arguments = json.loads(entry)
    assert program == "videodb-emulator"
    return command._parser().parse_args([*arguments, *SERVICES["emulator"]["command"]])


def test_images_have_the_newest_airflow_that_is_tested():
    newest = Release.read_all()[-1]
    assert ARGUMENTS["AIRFLOW_VERSION"] == newest.airflow
    assert ARGUMENTS["PYTHON_VERSION"] in newest.pythons
    assert set(re.findall(r"constraints/[\w.-]+", DOCKERFILE)) == {newest.constraints}


def test_base_images_are_named_with_a_version():
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert [image for image in images if not re.search(r":.*\$\{\w+_VERSION\}", image)] == []


def test_wheel_stage_copies_what_exists():
    (first, second) = re.findall(r"^COPY (.+) \S+$", STAGES["wheel"], re.MULTILINE)
    assert [name for name in [*first.split(), second] if not (ROOT / name).exists()] == []


def test_published_images_run_without_root():
    for stage in ("emulator", "airflow"):
        users = re.findall(r"^USER (\d+):\d+$", STAGES[stage], re.MULTILINE)
        assert users[-1:] not in ([], ["0"]), stage


def test_port_is_the_same_everywhere(options):
    assert options.port == command._parser().parse_args([]).port
    assert f"EXPOSE {options.port}\n" in STAGES["emulator"]
    assert f"http://127.0.0.1:{options.port}/health" in STAGES["emulator"]
    assert f"127.0.0.1:{options.port}:{options.port}" in SERVICES["emulator"]["ports"]


def test_container_listens_everywhere_and_the_command_on_loopback(options):
    assert options.host == "0.0.0.0"
    assert command._parser().parse_args([]).host == "127.0.0.1"


def test_ports_are_published_on_loopback_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_airflow_sends_the_key_over_a_shared_loopback(options):
    airflow = SERVICES["airflow"]
    assert airflow["network_mode"] == "service:emulator"
    value = airflow["environment"]["AIRFLOW_CONN_VIDEODB_DEFAULT"]
    assert json.loads(value) == {
        "conn_type": "videodb",
        "password": DEFAULT_API_KEY,
        "host": f"http://127.0.0.1:{options.port}",
    }
    for name, text in airflow["environment"].items():
        check_variable(name, text)
    assert airflow["depends_on"]["emulator"]["condition"] == "service_healthy"


def test_compose_builds_stages_that_exist():
    for name, service in SERVICES.items():
        build = service["build"]
        assert (FOLDER / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]).samefile(FOLDER / "Dockerfile")
        assert build["target"] == name
        assert build["target"] in STAGES
    source, target, mode = SERVICES["airflow"]["volumes"][0].split(":")
    assert ((FOLDER / source).resolve(), target, mode) == (ROOT / "example_dags", "/opt/airflow/dags", "ro")


def test_emulator_needs_what_its_image_installs():
    """Starlette comes with FastAPI. The fixtures of pytest are not for the image."""
    (installed,) = re.findall(r"--constraint \S+ (.+)$", STAGES["emulator"], re.MULTILINE)
    emulator = ROOT / "airflow_provider_videodb" / "emulator"
    files = [file for file in emulator.rglob("*.py") if file.name != "pytest_plugin.py"]
    needed = {name.split(".")[0] for file in files for name in imports_of(file)}
    ours = {"airflow_provider_videodb", "starlette"}
    assert needed - set(sys.stdlib_module_names) - ours == set(installed.split())
