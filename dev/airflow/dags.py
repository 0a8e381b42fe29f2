"""The DAG files that this Airflow can import."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

EXAMPLE_DAGS = Path(__file__).resolve().parents[2] / "example_dags"
#: Airflow below 3.3 cannot import these, because credit holds need it.
HOLDING_DAGS = frozenset({"live_holds.py", "shared_account.py"})


def link_dags(target: Path, *folders: Path) -> Path:
    """Link the DAG files of the folders into a new folder."""
    target.mkdir(parents=True)
    for path in (path for folder in folders for path in folder.glob("*.py")):
        if VARIABLES_CAN_BE_LISTED or path.name not in HOLDING_DAGS:
            (target / path.name).symlink_to(path)
    return target
