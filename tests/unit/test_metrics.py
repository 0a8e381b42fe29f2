"""Names and tags of the metrics, and that no failure of Airflow's Stats reaches a task."""

from __future__ import annotations

import logging
import os
import threading
from decimal import Decimal

import pytest

from airflow_provider_videodb import metrics
from airflow_provider_videodb.metrics import BALANCE, METRICS, POLL_FAILURES, POLLS, TASKS_WAITING
from airflow_provider_videodb.version_compat import load_stats
from tests.support.compat import stat_name_default_handler
from tests.support.stats import kept_metrics, metrics_on

ODD_ID = "team#1!(a)-b.c:/d\\é|@" + "x" * 250


@pytest.fixture
def sent(monkeypatch):
    with kept_metrics(monkeypatch) as sent:
        yield sent


class Broken:
    """A Stats whose connection is lost."""

    def gauge(self, *_, **__):
        raise OSError("no route to the metrics")

    incr = gauge


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_airflow_accepts_each_name_with_the_oddest_tags(metric):
    tags = {name: metrics.clean_tag(ODD_ID) for name in metric.tags}
    name = metrics.name_without_tags(metric, tags)
    assert stat_name_default_handler(f"airflow.{name}") == f"airflow.{name}"
    # InfluxDB's form has the tags in the name.
    influx = f"{metric.name}," + ",".join(f"{key}={value}" for key, value in tags.items())
    assert stat_name_default_handler(influx, allowed_chars=set(influx)) == influx


def test_name_without_tags_has_one_part_for_each_tag():
    tags = {"conn_id": "team.a", "kind": "credits", "hostname": "vm.example"}
    assert metrics.name_without_tags(TASKS_WAITING, tags) == "videodb.waiting_tasks.team__a.credits.vm__example"


def test_tag_with_the_signs_of_statsd_is_cleaned():
    assert metrics.clean_tag("a:1|c,b=#é") == "a_1_c_b___"


@pytest.mark.parametrize("send", [metrics.send, metrics.send_later])
def test_values_arrive_with_their_tags(sent, send):
    send(BALANCE, Decimal("12.5"), conn_id="team_a")
    send(BALANCE, Decimal(-3), conn_id="team_b")
    send(POLLS, conn_id="team_a", kind="balance")
    send(POLLS, conn_id="team_a", kind="balance")
    assert sent.all() == {
        ("videodb.balance", "team_a"): 12.5,
        ("videodb.balance", "team_b"): -3,
        ("videodb.polls", "team_a", "balance"): 2,
    }


def test_waiting_tasks_carry_the_name_of_their_host(sent, monkeypatch):
    metrics.send(TASKS_WAITING, 7, conn_id="team_a", kind="credits")
    assert sent.of(TASKS_WAITING) == {("team_a", "credits", metrics._hostname()): 7}


@pytest.mark.parametrize(
    ("options", "has_tags"),
    [
        ([], None),
        (["otel_on"], True),
        (["statsd_on"], False),
        (["statsd_on", "statsd_influxdb_enabled"], True),
        (["statsd_influxdb_enabled"], None),
        (["statsd_datadog_enabled"], True),
        (["statsd_on", "statsd_datadog_enabled"], True),
    ],
)
def test_settings_decide_whether_tags_are_sent(monkeypatch, options, has_tags):
    with metrics_on(monkeypatch, *options):
        assert metrics._has_tags() is has_tags


def test_datadog_without_tags_gets_long_names(monkeypatch):
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_DATADOG_METRICS_TAGS", "False")
    with metrics_on(monkeypatch, "statsd_datadog_enabled"):
        assert metrics._has_tags() is False


def test_no_thread_starts_while_metrics_are_off(monkeypatch):
    with metrics_on(monkeypatch):
        monkeypatch.setattr(metrics, "_sender", lambda: pytest.fail("a thread was started"))
        metrics.send_later(BALANCE, Decimal(1), conn_id="a")
        monkeypatch.setattr(metrics, "_stats", lambda: pytest.fail("Stats was loaded"))
        metrics.send(BALANCE, Decimal(1), conn_id="a")


@pytest.mark.parametrize("send", [metrics.send, metrics.send_later])
def test_broken_stats_is_logged_once(sent, monkeypatch, caplog, send):
    monkeypatch.setattr(metrics, "_stats", Broken)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            send(BALANCE, Decimal(1), conn_id="a")
        assert metrics.wait_until_sent(10)
    assert [record.getMessage() for record in caplog.records] == [
        "A metric could not be sent (OSError: no route to the metrics).",
        "Tasks are not affected. This is logged once.",
    ]


@pytest.mark.parametrize("send", [metrics.send, metrics.send_later])
def test_process_that_can_start_no_thread_goes_on(monkeypatch, caplog, send):
    def start(_):
        raise RuntimeError("can't start new thread")

    metrics._sender.cache_clear()
    monkeypatch.setattr(threading.Thread, "start", start)
    with metrics_on(monkeypatch, "otel_on"), caplog.at_level(logging.WARNING):
        send(BALANCE, Decimal(1), conn_id="a")
    assert "A metric could not be sent (RuntimeError: can't start new thread)." in caplog.text


@pytest.mark.parametrize("later", [False, True])
def test_holds_are_sent_with_what_they_leave(sent, later):
    figures = {"balance": Decimal(100), "reserve": Decimal(10), "held": Decimal("30.5")}
    metrics.send_holds("team_a", **figures, waiting=2, later=later)
    assert sent.all() == {
        ("videodb.holds.held", "team_a"): 30.5,
        ("videodb.holds.available", "team_a"): 59.5,
        ("videodb.holds.waiting", "team_a"): 2,
    }


def test_unusable_value_reaches_nobody(sent):
    metrics.send(POLL_FAILURES, conn_id="a")
    metrics.send(BALANCE, "many", conn_id="a")
    assert sent.all() == {}


def test_hanging_stats_delays_nobody(sent, monkeypatch, caplog):
    begun, go_on = threading.Event(), threading.Event()

    class Hanging:
        def gauge(self, *_, **__):
            begun.set()
            go_on.wait(10)

    monkeypatch.setattr(metrics, "_stats", Hanging)
    with caplog.at_level(logging.WARNING):
        metrics.send_later(BALANCE, Decimal(1), conn_id="a")
        assert begun.wait(10)
        for _ in range(metrics._LONGEST_QUEUE + 1):
            metrics.send_later(BALANCE, Decimal(1), conn_id="a")
        assert not metrics.wait_until_sent(0)
        # Nor does a worker wait behind what has not been sent.
        monkeypatch.setattr(metrics, "_LONGEST_WAIT", 60)
        metrics.send(BALANCE, Decimal(1), conn_id="a")
    assert "Airflow's Stats is too slow" in caplog.text
    go_on.set()
    assert metrics.wait_until_sent(10)


def test_worker_waits_for_a_hanging_stats_only_briefly(sent, monkeypatch, caplog):
    go_on = threading.Event()
    monkeypatch.setattr(metrics, "_stats", lambda: go_on.wait(10))
    monkeypatch.setattr(metrics, "_LONGEST_WAIT", 0.01)
    metrics.send(BALANCE, Decimal(1), conn_id="a")
    assert "Airflow's Stats is too slow" in caplog.text
    go_on.set()
    assert metrics.wait_until_sent(10)


def test_forked_process_sends_its_metrics(monkeypatch, tmp_path):
    class Writing:
        def gauge(self, name, *_, **__):
            (tmp_path / name).touch()

    with metrics_on(monkeypatch, "otel_on"):
        monkeypatch.setattr(metrics, "_stats", Writing)
        metrics.send(BALANCE, Decimal(1), conn_id="a")
        (tmp_path / BALANCE.name).unlink()
        child = os.fork()
        if not child:
            metrics.send(BALANCE, Decimal(1), conn_id="a")
            os._exit(0)
        os.waitpid(child, 0)
    assert (tmp_path / BALANCE.name).exists()


def test_airflow_has_a_stats_with_the_calls_in_use():
    stats = load_stats()
    stats.gauge("videodb.balance", 1.0, tags={"conn_id": "a"})
    stats.incr("videodb.polls", 1, tags={"conn_id": "a"})
