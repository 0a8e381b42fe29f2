"""
Serves the logs of a running Airflow on loopback: `python -m dev.airflow.log_server PORT`.

Airflow's own log servers listen on every interface, so `instance.py` turns them off. But the API server asks one of
them for the log of each task that runs or waits, and its page shows an error if none responds.
"""

from __future__ import annotations

import sys

import uvicorn

HOST = "127.0.0.1"


def hostname() -> str:
    """Return the host under which the API server looks for logs; `[core] hostname_callable` names this function."""
    return HOST


def settings(port: int) -> dict[str, str]:
    """Return the environment variables that make Airflow read its logs at this port."""
    return {
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{__name__}.{hostname.__name__}",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port),
    }


if __name__ == "__main__":
    uvicorn.run(
        "airflow.utils.serve_logs.log_server:get_app", factory=True, host=HOST, port=int(sys.argv[1]), access_log=False
    )
