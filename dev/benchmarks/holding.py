"""Many gates that hold wait for credits of one account in one triggerer."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_videodb.holds.rules.records import Flag, Kind
from dev.benchmarks.api_server import api_server
from dev.benchmarks.contenders import API_KEY, THRESHOLD, holding, videodb_connection
from dev.benchmarks.triggerer import triggerer
from dev.benchmarks.waiting import LONGEST_STEP_SECONDS, REQUESTS, measure_blocks, wait_for_requests

if TYPE_CHECKING:
    from pathlib import Path

_CONN_ID = "bench_account"


def measure_holding(*, tasks: int, interval: float, intervals: int, logs: Path) -> dict[str, float]:
    """
    Measure what the wait of gates with ``hold=True`` costs.

    :param tasks: how many gates wait.
    :param interval: seconds between polls.
    :param intervals: how many intervals the measured part of the wait lasts.
    :return: the figures by measure.
    """
    holders = [f"{number:016x}.-1" for number in range(tasks)]
    with api_server(logs, missing=False) as api:
        connections = {_CONN_ID: videodb_connection(api.ask("port"), API_KEY)}
        with triggerer(logs, connections=connections) as process:
            process.keys = [_waiting(holder, place).key for place, holder in enumerate(holders)]
            gates = [holding(_CONN_ID, interval, holder=holder) for holder in holders]
            process.start(gates, timeout=LONGEST_STEP_SECONDS)
            # A window that begins half an interval after a poll holds a whole number of polls.
            wait_for_requests(api, api.ask("count") + 2)
            time.sleep(interval / 2)
            listings, began = len(process.listings), process.ask("usage")
            with measure_blocks(process) as blocks:
                time.sleep(intervals * interval)
            ended = process.ask("usage")
            seconds = ended["at"] - began["at"]
            requests = api.ask("count", since=began["at"], until=ended["at"])
            return {
                f"{REQUESTS}, hold=True": requests * interval / seconds,
                "listings of holds per poll interval": (len(process.listings) - listings) * interval / seconds,
                "triggerer CPU, seconds per minute, hold=True": (ended["cpu"] - began["cpu"]) * 60 / seconds,
                "event loop blocked while tasks wait, ms, hold=True": blocks[0] * 1000,
            }


def _waiting(holder: str, place: int) -> Flag:
    return Flag(account=_CONN_ID, holder=holder, try_id="0", kind=Kind.WAITING, credits=Decimal(THRESHOLD), ms=place)
