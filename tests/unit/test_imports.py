"""What importing the provider costs, and that the import contracts can fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import airflow_provider_videodb

ROOT = Path(__file__).parents[2]
PACKAGE = Path(airflow_provider_videodb.__file__).parent
#: What every DAG file has loaded already.
AIRFLOW = "import airflow.sdk, airflow.providers.common.compat.sdk"
DAG_FILE = """
import airflow_provider_videodb.operators.auto_recharge
import airflow_provider_videodb.operators.ensure_credits
import airflow_provider_videodb.operators.release_credits
import airflow_provider_videodb.operators.topup
import airflow_provider_videodb.sensors.credits
"""


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
    # Coverage and pytest plugins would load modules of their own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def is_within(module, *packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_parsing_a_dag_file_loads_these_modules_and_no_others():
    """A longer list is paid for at every parse of every DAG file: let it grow by decision only."""
    loaded = modules_loaded_by(DAG_FILE, after=AIRFLOW) - {"airflow_provider_videodb"}
    ours = {name for name in loaded if is_within(name, "airflow_provider_videodb")}
    assert loaded - ours <= {
        "airflow.sdk.bases.operatorlink",
        "airflow.sdk.bases.sensor",
        # Newer versions than Airflow 3.1 have loaded these two before.
        "airflow.sdk.definitions.xcom_arg",
        "airflow.sdk.execution_time.lazy_sequence",
    }
    assert ours == {
        # Literals are checked while the file is parsed.
        "airflow_provider_videodb.api",
        "airflow_provider_videodb.api.parsing",
        "airflow_provider_videodb.api.urls",
        "airflow_provider_videodb.exceptions",
        "airflow_provider_videodb.hooks",
        "airflow_provider_videodb.hooks.arguments",
        "airflow_provider_videodb.hooks.log_page",
        "airflow_provider_videodb.links",
        "airflow_provider_videodb.links.checkout",
        "airflow_provider_videodb.operators",
        "airflow_provider_videodb.operators._arguments",
        "airflow_provider_videodb.operators._holding",
        "airflow_provider_videodb.operators._purchasing",
        "airflow_provider_videodb.operators.auto_recharge",
        "airflow_provider_videodb.operators.ensure_credits",
        "airflow_provider_videodb.operators.release_credits",
        "airflow_provider_videodb.operators.topup",
        "airflow_provider_videodb.sensors",
        "airflow_provider_videodb.sensors._trigger_arguments",
        "airflow_provider_videodb.sensors.credits",
        # Five names from one of two places in Airflow.
        "airflow_provider_videodb.version_compat",
    }


def test_dag_file_with_an_asset_loads_neither_requests_nor_the_poll():
    loaded = modules_loaded_by("import airflow_provider_videodb.assets.credits", after=AIRFLOW)
    assert not {name for name in loaded if is_within(name, "requests", "urllib3", "airflow_provider_videodb.emulator")}
    assert {name for name in loaded if is_within(name, "airflow_provider_videodb.triggers")} == {
        "airflow_provider_videodb.triggers",
        "airflow_provider_videodb.triggers._credit_levels",
        "airflow_provider_videodb.triggers._encoding",
        "airflow_provider_videodb.triggers.credit_watch",
        "airflow_provider_videodb.triggers.events",
    }


@pytest.mark.parametrize("module", ["get_provider_info", "exceptions"])
def test_what_airflow_loads_everywhere_loads_nothing_else_of_ours(module):
    loaded = modules_loaded_by(f"import airflow_provider_videodb.{module}")
    ours = {name for name in loaded if is_within(name, "airflow_provider_videodb")}
    assert ours == {"airflow_provider_videodb", f"airflow_provider_videodb.{module}"}
    assert not {name for name in loaded if is_within(name, "airflow", "requests")}


def test_the_provider_info_loads_itself_alone():
    loaded = modules_loaded_by("import airflow_provider_videodb.get_provider_info")
    assert loaded == {"airflow_provider_videodb", "airflow_provider_videodb.get_provider_info"}


def test_the_client_loads_no_airflow():
    loaded = modules_loaded_by("import airflow_provider_videodb.api.client")
    assert not {name for name in loaded if is_within(name, "airflow")}


@pytest.mark.skipif(find_spec("importlinter") is None, reason="import-linter is not installed beside this Airflow")
@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("hooks/billing.py", "import airflow_provider_videodb.emulator.server", "Each room knows"),
        ("purchases/claims.py", "import airflow_provider_videodb.triggers.events", "Each room knows"),
        ("purchases/journal.py", "import airflow_provider_videodb.purchases.executor", "The parts of a purchase"),
        ("purchases/rules/decide.py", "import airflow_provider_videodb.api.client", "The rules of purchases"),
        ("purchases/rules/limits.py", "import airflow", "The rules of purchases"),
        ("holds/ledger.py", "import airflow_provider_videodb.hooks.connection", "Each room knows"),
        ("operators/topup.py", "import airflow_provider_videodb.cli.commands", "Each room knows"),
        ("cli/commands.py", "import airflow_provider_videodb.__main__", "Each room knows"),
        ("metrics.py", "import airflow_provider_videodb.hooks.connection", "Each room knows"),
        ("policies/retry.py", "import airflow_provider_videodb.operators.topup", "Each room knows"),
        ("holds/identity.py", "import airflow_provider_videodb.holds.ledger", "A hold is built"),
        ("holds/rules/steps.py", "import airflow_provider_videodb.purchases.clock", "The rules of holds"),
        ("holds/rules/account.py", "import airflow", "The rules of holds"),
        ("cli/arguments.py", "import airflow_provider_videodb.cli.commands", "The command line"),
        ("overview/text.py", "import airflow_provider_videodb.overview.database", "The overview"),
        ("overview/holds.py", "import airflow_provider_videodb.cli.commands", "Each room knows"),
        ("overview/waits.py", "import airflow_provider_videodb.web.app", "Each room knows"),
        ("web/reader.py", "import airflow_provider_videodb.web.account", "The page is built"),
        ("web/account.py", "import requests", "HTTP is spoken"),
        ("api/client.py", "import airflow", "The API knows no Airflow"),
        ("api/models.py", "import airflow_provider_videodb.api.client", "The API is built"),
        ("api/retries.py", "import airflow_provider_videodb.api.failures", "The API is built"),
        ("api/retries.py", "import requests", "HTTP is spoken"),
        ("operators/topup.py", "import requests", "HTTP is spoken"),
        ("assets/credits.py", "import requests", "HTTP is spoken"),
        ("triggers/events.py", "import airflow_provider_videodb.assets.credits", "Each room knows"),
        ("cli/commands.py", "import requests", "HTTP is spoken"),
        ("emulator/account/ledger.py", "import airflow_provider_videodb.emulator.http.app", "The emulator's rooms"),
    ],
)
def test_an_import_against_the_tree_breaks_its_contract(tmp_path, file, line, contract):
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    against = tmp_path / PACKAGE.name / file
    against.write_text(f"{against.read_text()}\n{line}\n")
    linted = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    broken = [text for text in linted.stdout.splitlines() if text.endswith(" BROKEN")]
    assert any(text.startswith(contract) for text in broken), linted.stdout + linted.stderr
