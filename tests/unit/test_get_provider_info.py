"""The provider info is valid, true, and served without importing the hook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points, metadata
from pathlib import Path

import airflow
import jsonschema
import pytest
from packaging.version import Version

from airflow_provider_videodb.get_provider_info import get_provider_info
from tests.support.compat import FORM_IMPORTS_NO_HOOK, needs_form_fields

SCHEMAS = Path(airflow.__file__).parent
INFO = get_provider_info()
#: What Airflow calls the classes of each section.
KINDS = {"hooks": "BaseHook", "operators": "BaseOperator", "sensors": "BaseSensorOperator", "triggers": "BaseTrigger"}


def schema(name):
    return json.loads((SCHEMAS / name).read_text())


def in_airflow(code):
    """Run Python in a new process, and return the JSON that it prints last."""
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_info_is_valid_by_airflows_schema():
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@pytest.mark.parametrize("section", ["integrations", "hooks", "operators", "sensors", "triggers", "connection-types"])
def test_section_is_valid_by_the_schema_of_own_providers(section):
    strict = schema("provider.yaml.schema.json")
    jsonschema.validate(INFO[section], strict["properties"][section] | {"definitions": strict.get("definitions", {})})


def test_behaviour_of_standard_fields_is_valid():
    (connection_type,) = INFO["connection-types"]
    behaviour = {key.replace("-", "_"): value for key, value in connection_type["ui-field-behaviour"].items()}
    jsonschema.validate(behaviour, schema("customized_form_field_behaviours.schema.json"))


def test_package_name_is_that_of_the_distribution():
    """A difference would break every `airflow` command."""
    assert INFO["package-name"] == "airflow-provider-videodb"
    assert metadata(INFO["package-name"])["Name"] == INFO["package-name"]


def test_airflow_finds_the_entry_point():
    (entry_point,) = (
        entry_point
        for entry_point in entry_points(group="apache_airflow_provider")
        if entry_point.value.startswith("airflow_provider_videodb")
    )
    assert entry_point.name == "provider_info"
    assert entry_point.load()() == INFO


def test_named_function_returns_commands_that_no_airflow_has():
    """A name that Airflow has already would break every `airflow` command."""
    from airflow.cli.cli_config import core_commands

    (path,) = INFO["cli"]
    module, _, name = path.rpartition(".")
    (group,) = getattr(import_module(module), name)()
    assert group.name not in {command.name for command in core_commands}


def class_paths():
    yield from INFO["extra-links"]
    for connection_type in INFO["connection-types"]:
        yield connection_type["hook-class-name"]


@pytest.mark.parametrize("path", class_paths())
def test_named_class_exists(path):
    module, _, name = path.rpartition(".")
    assert isinstance(getattr(import_module(module), name), type)


def package_modules(section):
    """Return the public modules that define a class of the section's kind."""
    package = Path(import_module("airflow_provider_videodb").__file__).parent
    for file in (package / section).glob("[!_]*.py"):
        module = import_module(f"airflow_provider_videodb.{section}.{file.stem}")
        own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
        if any(base.__name__ == KINDS[section] for one in own for base in one.__mro__):
            yield module.__name__


@pytest.mark.parametrize("section", KINDS)
def test_info_names_the_modules_of_each_kind(section):
    (named,) = (set(entry["python-modules"]) for entry in INFO[section])
    assert named == set(package_modules(section))


def test_form_field_has_a_description():
    (connection_type,) = INFO["connection-types"]
    assert set(connection_type["conn-fields"]) == {
        "timeout",
        "max_retries",
        "max_topup_amount",
        "approval_above",
        "monthly_topup_limit",
        "credit_account",
        "credit_reserve",
        "settlement_minutes",
    }
    for field in connection_type["conn-fields"].values():
        assert field["label"]
        assert field["description"].endswith(".")
        assert "null" in field["schema"]["type"], "a field that cannot be left empty"


@needs_form_fields
def test_form_is_served_as_declared():
    served = in_airflow(
        """
import json, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(form,) = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "videodb"]
ours = [name for name in sys.modules if name.startswith("airflow_provider_videodb.")]
print(json.dumps(form.model_dump(mode="json") | {"modules": ours}))
"""
    )
    if FORM_IMPORTS_NO_HOOK:
        assert served["modules"] == ["airflow_provider_videodb.get_provider_info"]
    assert served["hook_name"] == "VideoDB"
    assert served["hook_class_name"] == "airflow_provider_videodb.hooks.videodb.VideoDBHook"
    standard = served["standard_fields"]
    assert {name for name, field in standard.items() if field and field["hidden"]} == {"port", "login", "url_schema"}
    assert standard["password"]["title"] == "API key"
    assert standard["host"]["title"] == "Base URL"
    (declared,) = INFO["connection-types"]
    assert set(served["extra_fields"]) == set(declared["conn-fields"])
    assert served["extra_fields"]["timeout"]["schema"]["title"] == "Timeout (seconds)"


def test_airflow_commands_show_the_provider():
    """In one process, since starting Airflow is what takes the time."""
    shown = in_airflow(
        """
import contextlib, io, json
from airflow.cli.cli_parser import get_parser
shown = {}
for command in ("list", "hooks", "links", "triggers", "behaviours"):
    arguments = get_parser().parse_args(["providers", command, "--output", "json"])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        arguments.func(arguments)
    shown[command] = [row for row in json.loads(printed.getvalue()) if "videodb" in json.dumps(row).lower()]
print(json.dumps(shown))
"""
    )
    (listed,) = shown["list"]
    assert listed["package_name"] == "airflow-provider-videodb"
    assert listed["version"] == metadata("airflow-provider-videodb")["Version"]
    (hook,) = shown["hooks"]
    assert hook["connection_type"] == "videodb"
    assert [row["extra_link_class_name"] for row in shown["links"]] == INFO["extra-links"]
    assert {row["class"] for row in shown["triggers"]} == {*INFO["triggers"][0]["python-modules"]}
    # The command of Airflow 3.1 shows those of a hook only beside Flask-AppBuilder.
    in_the_info = Version(airflow.__version__) >= Version("3.2")
    assert [row["field_behaviours"] for row in shown["behaviours"]] == ["videodb"] * in_the_info
