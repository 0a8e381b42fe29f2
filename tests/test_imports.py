"""What importing the provider costs, and which file may know which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_videodb
from tests.support.source import imports_of

PACKAGE = Path(airflow_provider_videodb.__file__).parent
#: What every DAG file has loaded already.
AIRFLOW = "import airflow.sdk, airflow.providers.common.compat.sdk"
DAG_FILE = "import airflow_provider_videodb.operators.billing, airflow_provider_videodb.sensors.billing"
PURE = (
    "addresses",
    "answers",
    "arguments",
    # It tells the time, and knows nothing else of the world.
    "clock",
    "decoding",
    "envelope",
    "exceptions",
    "fields",
    "limits",
    "matching",
    "messages",
    "models",
    "outcomes",
    "payment",
    "payment_request",
    "purchase",
    "record",
    "redaction",
)
IMPURE = ("airflow", "requests", "urllib3", "tenacity")


def modules_loaded_by(statement, *, after=""):
    code = "\n".join(
        [
            "import json, sys",
            after,
            "before = set(sys.modules)",
            statement,
            "print(json.dumps([*set(sys.modules) - before]))",
        ]
    )
    # Whoever measures coverage or wants a plugin has other modules loaded before.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def files_outside(*folders):
    return [
        pytest.param(file, id=file.relative_to(PACKAGE).as_posix())
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(PACKAGE).parts[0] not in folders
    ]


def is_within(module, *packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_parsing_a_dag_file_loads_these_modules_and_no_others():
    """A longer list is paid for at every parse of every DAG file: let it grow by decision only."""
    assert modules_loaded_by(DAG_FILE, after=AIRFLOW) - {"airflow_provider_videodb"} == {
        "airflow.sdk.bases.operatorlink",
        "airflow.sdk.bases.sensor",
        # What is a literal is checked while the file is parsed.
        "airflow_provider_videodb.addresses",
        # Five names from one of two places in Airflow.
        "airflow_provider_videodb.airflow_exceptions",
        "airflow_provider_videodb.arguments",
        "airflow_provider_videodb.exceptions",
        "airflow_provider_videodb.fields",
        "airflow_provider_videodb.links",
        "airflow_provider_videodb.links.billing",
        "airflow_provider_videodb.operators",
        "airflow_provider_videodb.operators.auto_recharge",
        "airflow_provider_videodb.operators.billing",
        "airflow_provider_videodb.operators.common",
        "airflow_provider_videodb.operators.ensure_credits",
        "airflow_provider_videodb.operators.purchasing",
        "airflow_provider_videodb.operators.topup",
        "airflow_provider_videodb.sensors",
        "airflow_provider_videodb.sensors.billing",
    }


@pytest.mark.parametrize("module", ["get_provider_info", "exceptions", "version_compat"])
def test_what_airflow_loads_everywhere_loads_nothing_of_ours_besides(module):
    loaded = modules_loaded_by(f"import airflow_provider_videodb.{module}")
    ours = {name for name in loaded if is_within(name, "airflow_provider_videodb")}
    assert ours == {"airflow_provider_videodb", f"airflow_provider_videodb.{module}"}
    assert not {name for name in loaded if is_within(name, "airflow", "requests")}


def test_the_provider_info_loads_itself_alone():
    loaded = modules_loaded_by("import airflow_provider_videodb.get_provider_info")
    assert loaded == {"airflow_provider_videodb", "airflow_provider_videodb.get_provider_info"}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_file_knows_neither_airflow_nor_http(name):
    imported = imports_of(PACKAGE / f"{name}.py")
    ours = {module.split(".")[1] for module in imported if module.startswith("airflow_provider_videodb.")}
    assert ours <= set(PURE)
    assert not {module for module in imported if is_within(module, *IMPURE)}


def test_the_pure_files_load_no_airflow_and_no_http():
    loaded = modules_loaded_by("import " + ", ".join(f"airflow_provider_videodb.{name}" for name in PURE))
    assert not {name for name in loaded if is_within(name, *IMPURE)}


def test_the_client_knows_no_airflow():
    loaded = modules_loaded_by("import airflow_provider_videodb.client")
    assert not {name for name in loaded if is_within(name, "airflow")}


@pytest.mark.parametrize("file", files_outside("emulator"))
def test_nothing_outside_the_emulator_imports_it(file):
    assert not {name for name in imports_of(file) if is_within(name, "airflow_provider_videodb.emulator")}


@pytest.mark.parametrize("file", files_outside("emulator", "transport.py", "session.py", "deadline.py"))
def test_http_is_spoken_in_one_place(file):
    assert not {name for name in imports_of(file) if is_within(name, "requests", "urllib3", "httpx", "aiohttp")}


@pytest.mark.parametrize("file", files_outside("emulator"))
def test_files_import_each_other_in_one_direction(file):
    """operators, sensors -> triggers, hooks -> client -> models: never back."""
    ranks = (["deadline"], ["session"], ["transport"], ["client"], ["hooks"], ["triggers"], ["sensors", "operators"])
    rank = {name: place for place, names in enumerate(ranks, start=1) for name in names}
    folder_or_stem = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    own = rank.get(folder_or_stem, 0 if folder_or_stem in PURE else 7)
    imported = {name.split(".")[1] for name in imports_of(file) if name.startswith("airflow_provider_videodb.")}
    assert {name for name in imported if rank.get(name, 0) > own} == set()
