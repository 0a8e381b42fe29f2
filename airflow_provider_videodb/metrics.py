"""
Sends this package's metrics through Airflow's ``Stats``.

A metric never disturbs the work that it describes, because a separate thread sends it. A slow ``Stats`` does not delay
the waits of a triggerer. It delays a worker by a second at most. A failure of ``Stats`` is logged once.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_videodb.version_compat import load_stats

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

log = logging.getLogger(__name__)

#: The characters that Airflow allows in a name. With other characters it would log an error at each value.
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]")
#: Longest value of a tag. Airflow allows 250 characters for a name with all its tags.
_LONGEST_TAG = 64
#: Seconds that a worker waits for a slow ``Stats``.
_LONGEST_WAIT = 1.0
_TOO_SLOW = "Airflow's Stats is too slow"
#: Values that wait for a slow ``Stats``. Further values are dropped.
_LONGEST_QUEUE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """
    One metric.

    :param name: without Airflow's prefix.
    :param tags: in the order in which they follow the name if Airflow sends no tags.
    """

    name: str
    type: Literal["gauge", "counter"]
    tags: tuple[str, ...]


BALANCE = Metric(name="videodb.balance", type="gauge", tags=("conn_id",))
HELD = Metric(name="videodb.holds.held", type="gauge", tags=("conn_id",))
AVAILABLE = Metric(name="videodb.holds.available", type="gauge", tags=("conn_id",))
GATES_WAITING = Metric(name="videodb.holds.waiting", type="gauge", tags=("conn_id",))
#: Each triggerer counts its own tasks, as Airflow's ``triggers.running`` does.
TASKS_WAITING = Metric(name="videodb.waiting_tasks", type="gauge", tags=("conn_id", "kind", "hostname"))
POLLS = Metric(name="videodb.polls", type="counter", tags=("conn_id", "kind"))
POLL_FAILURES = Metric(name="videodb.poll_failures", type="counter", tags=("conn_id", "kind", "error"))

#: docs/metrics.md has the same table, with the meaning of each.
METRICS = (BALANCE, HELD, AVAILABLE, GATES_WAITING, TASKS_WAITING, POLLS, POLL_FAILURES)


def send(metric: Metric, value: Decimal | int = 1, **tags: str) -> None:
    """
    Send one value from a worker. Never fails.

    It waits briefly until the value is sent, because a worker may end at any moment. It does not wait behind values
    that a slow ``Stats`` has not sent yet.

    :param value: the value of a gauge, or how much a counter grows.
    :param tags: all tags of the metric but ``hostname``.
    """
    try:
        if _has_tags() is not None:
            sender = _sender()
            was_idle = sender.wait_until_idle(0)
            sender.put(metric, value, tags)
            if was_idle and not sender.wait_until_idle(_LONGEST_WAIT):
                _warn_once(_TOO_SLOW)
    except Exception as err:  # noqa: BLE001 - see the module: no failure disturbs the caller
        _warn_once(_text_of(err))


def send_later(metric: Metric, value: Decimal | int = 1, **tags: str) -> None:
    """
    Send one value from a triggerer. Never fails.

    It does not wait until the value is sent.
    """
    try:
        if _has_tags() is not None:
            _sender().put(metric, value, tags)
    except Exception as err:  # noqa: BLE001 - see the module: no failure disturbs the caller
        _warn_once(_text_of(err))


def send_holds(conn_id: str, *, balance: Decimal, reserve: Decimal, held: Decimal, waiting: int, later: bool) -> None:
    """
    Send what one listing of the holds says.

    :param held: credits of all holders.
    :param waiting: gates in the queue.
    :param later: whether a triggerer sends.
    """
    sending = send_later if later else send
    sending(HELD, held, conn_id=conn_id)
    sending(AVAILABLE, balance - reserve - held, conn_id=conn_id)
    sending(GATES_WAITING, waiting, conn_id=conn_id)


def wait_until_sent(timeout: float) -> bool:
    """
    Wait until :func:`send_later` has sent everything.

    :return: whether it did so in time.
    """
    return _sender().wait_until_idle(timeout)


class _Sender:
    """Sends from one thread."""

    def __init__(self) -> None:
        self._values: queue.Queue[tuple[Metric, Decimal | int, dict[str, str]]] = queue.Queue(_LONGEST_QUEUE)
        # A daemon, because a Stats that hangs must not keep the triggerer from ending.
        threading.Thread(target=self._run, name="videodb-metrics", daemon=True).start()

    def put(self, metric: Metric, value: Decimal | int, tags: dict[str, str]) -> None:
        try:
            self._values.put_nowait((metric, value, tags))
        except queue.Full:
            _warn_once(_TOO_SLOW)

    def wait_until_idle(self, timeout: float) -> bool:
        with self._values.all_tasks_done:
            return self._values.all_tasks_done.wait_for(lambda: not self._values.unfinished_tasks, timeout)

    def _run(self) -> None:
        while True:
            metric, value, tags = self._values.get()
            try:
                _send(metric, value, tags)
            except Exception as err:  # noqa: BLE001 - the next value may be sent
                _warn_once(_text_of(err))
            self._values.task_done()


@functools.cache
def _sender() -> _Sender:
    return _Sender()


# A process that a task forks has no copy of the thread.
os.register_at_fork(after_in_child=_sender.cache_clear)


def _send(metric: Metric, value: Decimal | int, tags: dict[str, str]) -> None:
    has_tags = _has_tags()
    if has_tags is None:
        return
    given = tags | ({"hostname": _hostname()} if "hostname" in metric.tags else {})
    clean = {name: clean_tag(given[name]) for name in metric.tags}
    name = metric.name if has_tags else name_without_tags(metric, clean)
    stats = _stats()
    if metric.type == "counter":
        stats.incr(name, int(value), tags=clean)
    else:
        stats.gauge(name, value if isinstance(value, int) else float(value), tags=clean)


def name_without_tags(metric: Metric, tags: Mapping[str, str]) -> str:
    """
    Return the name that includes the tags. Pure.

    Under one name, the values of two connections would overwrite each other. A dot inside a value becomes two
    underscores, as in Airflow's own names.
    """
    return ".".join([metric.name, *(tags[name].replace(".", "__") for name in metric.tags)])


def clean_tag(value: str) -> str:
    """Return a tag's value in characters that Airflow allows."""
    return _NOT_ALLOWED.sub("_", value)[:_LONGEST_TAG]


@functools.cache
def _has_tags() -> bool | None:
    """
    Say whether Airflow sends tags.

    :return: ``None`` if it sends no metrics.
    """
    from airflow.configuration import conf

    def is_on(option: str, *, otherwise: bool = False) -> bool:
        return bool(conf.getboolean("metrics", option, fallback=otherwise))

    if is_on("statsd_datadog_enabled"):
        return is_on("statsd_datadog_metrics_tags", otherwise=True)
    if is_on("statsd_on"):
        return is_on("statsd_influxdb_enabled")
    return True if is_on("otel_on") else None


@functools.cache
def _hostname() -> str:
    from airflow.utils.net import get_hostname

    return str(get_hostname())  # type: ignore[no-untyped-call]  # Airflow's function is not annotated


_stats = functools.cache(load_stats)


def _text_of(err: Exception) -> str:
    return f"{type(err).__name__}: {err}"[:200]


@functools.lru_cache(maxsize=16)
def _warn_once(error: str) -> None:
    log.warning("A metric could not be sent (%s).", error)
    log.warning("Tasks are not affected. This is logged once.")
