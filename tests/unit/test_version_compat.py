"""Which names of Airflow the package uses, beyond those that Airflow documents for providers."""

from __future__ import annotations

import re
from pathlib import Path

import airflow_provider_videodb
from tests.support.source import imports_of

PACKAGE = Path(airflow_provider_videodb.__file__).parent
CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
#: Airflow keeps these stable for authors of DAGs and providers.
PUBLIC = {
    "airflow",
    "airflow.configuration",
    "airflow.providers.common.compat.sdk",
    "airflow.sdk",
    "airflow.triggers.base",
}


def names_in_use() -> set[str]:
    # version_compat.py has what moved between releases.
    imported = set().union(*(imports_of(path) for path in PACKAGE.rglob("*.py") if path.name != "version_compat.py"))
    modules = {name.rpartition(".")[0] for name in imported}
    names = {name for name in imported - modules if name.startswith("airflow.")}
    return {name for name in names if name.rpartition(".")[0] not in PUBLIC}


def names_in_contributing() -> set[str]:
    rows = re.findall(r"^\| `(airflow\.[\w.]+)` \| ([^|]+) \|", CONTRIBUTING.read_text(), re.MULTILINE)
    return {f"{module}.{name}" for module, names in rows for name in re.findall(r"`(\w+)`", names)}


def test_names_that_airflow_may_move_are_listed():
    assert names_in_use() == names_in_contributing()
