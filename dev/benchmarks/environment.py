"""The environment of the processes that are measured: an Airflow of its own that nobody has configured otherwise."""

from __future__ import annotations

import base64
import json
import os
import resource
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TASK_ENVIRONMENT = ("AIRFLOW", "_AIRFLOW", "COV_", "COVERAGE", "PYTEST")


def adopt_airflow(home: Path) -> None:
    """Make this process and its children one Airflow; to be called before anything imports Airflow."""
    for name in [name for name in os.environ if name.startswith(_TASK_ENVIRONMENT)]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Whoever stores the arguments of a trigger and whoever runs it have the key in common.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        # The server is on 127.0.0.1; a proxy of the environment must stay out of it.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def with_connections(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return this environment and these connections, by id, in Airflow's JSON form."""
    return dict(os.environ) | {f"AIRFLOW_CONN_{name.upper()}": json.dumps(of) for name, of in connections.items()}


def allow_many_connections() -> None:
    """Let this process have as many files open as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
