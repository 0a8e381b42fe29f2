"""The wheel carries its types, and `tests/typing` pins all of them."""

from __future__ import annotations

import ast
import inspect
import shutil
import sys
from importlib import import_module

import pytest

from airflow_provider_videodb.assets.credits import credits_back, credits_low
from airflow_provider_videodb.get_provider_info import get_provider_info
from tests.support.dists import ROOT, build, run

TYPED = ROOT / "tests" / "typing"
#: What a user imports besides the classes that Airflow knows.
OTHER_MODULES = [
    "airflow_provider_videodb.api.client",
    "airflow_provider_videodb.emulator.server",
    "airflow_provider_videodb.policies.retry",
]
FUNCTIONS = [credits_low, credits_back]


def public_classes():
    info = get_provider_info()
    modules = [name for kind in ("hooks", "operators", "sensors") for name in info[kind][0]["python-modules"]]
    for name in modules + OTHER_MODULES:
        for value in vars(import_module(name)).values():
            if isinstance(value, type) and value.__module__ == name and not value.__name__.startswith("_"):
                yield value


def arguments_of(cls):
    signature = inspect.signature(cls.__init__ if isinstance(cls, type) else cls, eval_str=False)
    names = {name for name, one in signature.parameters.items() if one.kind is not inspect.Parameter.VAR_KEYWORD}
    if cls.__name__ == "Emulator":
        from airflow_provider_videodb.emulator.settings import SettingsArguments

        names |= SettingsArguments.__annotations__.keys()
    return names - {"self"}


def pinned_arguments():
    """Map each class of the typed file to the arguments that it is given there."""
    calls = [node for node in ast.walk(ast.parse((TYPED / "arguments.py").read_text())) if isinstance(node, ast.Call)]
    return {call.func.id: {argument.arg for argument in call.keywords} - {"task_id"} for call in calls}


def test_typed_file_names_each_argument_of_each_public_class_and_function():
    assert pinned_arguments() == {one.__name__: arguments_of(one) for one in [*public_classes(), *FUNCTIONS]}


def test_typed_file_expects_an_error_at_each_argument():
    lines = [line.strip() for line in (TYPED / "arguments.py").read_text().splitlines() if "=x" in line]
    assert len(lines) == sum(map(len, pinned_arguments().values()))
    assert [line for line in lines if not line.endswith("=x,  # type: ignore[arg-type]")] == []


@pytest.fixture(scope="module")
def python_with_wheel(tmp_path_factory):
    """Install the wheel in a new environment that sees this one's packages, but not the source."""
    folder = tmp_path_factory.mktemp("user")
    wheel = build(tmp_path_factory.mktemp("dist")).wheel
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    (packages,) = folder.glob("lib/*/site-packages")
    # Python reads no path files in a folder that a path file names, so an editable install does not count.
    (packages / "others.pth").write_text("\n".join(place for place in sys.path if place.endswith("site-packages")))
    return python


def test_users_code_passes_mypy_strict_with_the_wheel(python_with_wheel, tmp_path):
    shutil.copytree(TYPED, tmp_path, dirs_exist_ok=True)
    run(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--python-executable", python_with_wheel),
        *sorted(file.name for file in tmp_path.glob("*.py")),
        cwd=tmp_path,
    )
