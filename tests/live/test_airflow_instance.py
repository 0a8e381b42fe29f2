"""The Airflow that `dev/airflow` starts for the demo and the live tests."""

from __future__ import annotations

import psutil

from dev.airflow.processes import until


def test_every_component_listens_on_loopback_only(live_airflow):
    listening = [
        connection.laddr
        for pid in live_airflow.all_pids()
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_log_of_a_waiting_task_is_read_without_an_error(live_airflow, emulator):
    run = live_airflow.api.trigger("credit_gate")
    run.wait_for_task("top_up", "deferred")
    # The triggerer writes the file when the trigger starts.
    until(lambda: "trigger" in " ".join(sources_of(run.log("top_up"))), timeout=30, what="the log of the trigger")

    assert not [source for source in sources_of(run.log("top_up")) if "Could not" in source]
    emulator.pay(emulator.checkouts()[0].id)
    assert run.wait() == "success"


def sources_of(log):
    """Return what the page lists under "Log message source details"."""
    end = [line["event"] for line in log].index("::endgroup::")
    # Airflow 3.1 gives them as a field of the first line, and later versions one a line.
    return [source for line in log[:end] for source in (line["event"], *(line.get("sources") or ()))]
