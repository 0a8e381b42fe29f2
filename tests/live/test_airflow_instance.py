"""The room itself: nothing listens beyond loopback."""

from __future__ import annotations

import psutil

from dev.airflow.instance import COMPONENTS


def test_every_component_listens_on_loopback_only(live_airflow):
    pids = [pid for name in COMPONENTS for pid in live_airflow.pids(name)]

    listening = [
        connection.laddr
        for pid in pids
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert {address.ip for address in listening} == {"127.0.0.1"}
