"""The pages name arguments, fields and bounds as the code has them."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from airflow_provider_videodb.api.client import _MAX_LIST_SECONDS
from airflow_provider_videodb.api.envelope import _MAX_ENTRIES
from airflow_provider_videodb.api.read_deadline import MAX_RESPONSE_BYTES
from airflow_provider_videodb.api.redaction import QUOTED_RUN
from airflow_provider_videodb.api.transport import _FIELD_RUN
from airflow_provider_videodb.assets.credits import credits_back, credits_low
from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.hooks.connection import ConnectionSettings
from airflow_provider_videodb.metrics import METRICS, name_without_tags
from airflow_provider_videodb.operators._arguments import NOT_GIVEN
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.leaks import PIECE

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "auto-recharge": AutoRechargeOperator,
    "credit-threshold": CreditThresholdSensor,
    "ensure-credits": EnsureCreditsOperator,
    "release-credits": ReleaseCreditsOperator,
    "top-up": TopupOperator,
}

#: What the page on security promises.
BOUNDS = [
    f"{MAX_RESPONSE_BYTES // 1024**2} MiB",
    f"at most {_MAX_ENTRIES:,} entries and takes at most {_MAX_LIST_SECONDS / 60:g} minutes",
    f"Parts of {QUOTED_RUN} characters",
    f"parts of {_FIELD_RUN} characters",
    f"any {PIECE} characters of the key",
]


def table_of(page, header):
    """Return the cells of each row of the table with this header."""
    lines = (DOCS / page).read_text().splitlines()
    start = lines.index(header) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def in_words(default):
    """Return a default as the pages write it."""
    if default is inspect.Parameter.empty:
        return "required"
    if default is None or default is NOT_GIVEN:
        return "not given"
    if isinstance(default, timedelta):
        hours, minutes = default / timedelta(hours=1), default / timedelta(minutes=1)
        return f"{hours:g} hours" if hours >= 1 else f"{minutes:g} minutes"
    return f"`{default}`"


def arguments_of(operator):
    return {
        name: [in_words(parameter.default), "yes" if name in operator.template_fields else "no"]
        for name, parameter in inspect.signature(operator.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("page", PAGES)
def test_page_lists_each_argument_with_default_and_template(page):
    rows = table_of(f"operators/{page}.md", "| argument | default | template | meaning |")
    assert {name.strip("`"): cells for name, *cells, _ in rows} == arguments_of(PAGES[page])


def test_every_operator_and_sensor_has_a_page():
    info = get_provider_info()
    modules = {name for kind in ("operators", "sensors") for part in info[kind] for name in part["python-modules"]}
    assert {operator.__module__ for operator in PAGES.values()} == modules


def test_page_lists_each_argument_of_the_assets():
    defaults = [
        {name: in_words(parameter.default) for name, parameter in inspect.signature(asset).parameters.items()}
        for asset in (credits_low, credits_back)
    ]
    rows = table_of("assets.md", "| argument | `credits_low` | `credits_back` | meaning |")
    assert {name.strip("`"): cells for name, *cells, _ in rows} == {
        name: [one.get(name, "has none") for one in defaults] for name in defaults[0]
    }


def test_connection_page_lists_each_extra_field_with_default():
    rows = table_of("connection.md", "| field of the extra | default | meaning |")
    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    assert [name.strip("`") for name, *_ in rows] == list(fields)
    # A number in the table is the default.
    written = {name.strip("`"): float(default) for name, default, _ in rows if default.isdecimal()}
    assert written == {name: float(value) for name, value in defaults().items()}


def defaults():
    from airflow.models import Connection

    settings = ConnectionSettings.from_connection(Connection("mine", conn_type="videodb", password="sk-1"))
    numbers = ("timeout", "max_retries", "credit_reserve", "settlement_minutes")
    return {name: getattr(settings, name) for name in numbers}


@pytest.mark.parametrize("bound", BOUNDS)
def test_security_page_names_the_bound(bound):
    assert bound in " ".join((DOCS / "security.md").read_text().split())


def test_metrics_page_lists_each_metric_with_type_and_tags():
    rows = table_of("metrics.md", "| metric | type | tags | meaning |")
    assert {name: cells for name, *cells, _ in rows} == {
        f"`{metric.name}`": [metric.type, ", ".join(f"`{tag}`" for tag in metric.tags)] for metric in METRICS
    }


def yaml_blocks(page):
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_mapping_of_statsd_exporter_labels_each_metric(metric):
    mapping, _ = yaml_blocks("metrics.md")
    name = f"airflow.{name_without_tags(metric, {tag: f'a_{tag}' for tag in metric.tags})}"
    # A star stands for one part of the name.
    patterns = {re.escape(one["match"]).replace(r"\*", "([^.]*)"): one for one in mapping["mappings"]}
    [(found, one)] = [(match, one) for pattern, one in patterns.items() if (match := re.fullmatch(pattern, name))]

    def filled(text):
        return re.sub(r"\$(\d)", lambda number: found[int(number[1])], text)

    assert filled(one["name"]) == f"airflow.{metric.name}".replace(".", "_")
    assert {tag: filled(label) for tag, label in one["labels"].items()} == {tag: f"a_{tag}" for tag in metric.tags}
    assert ("ttl" in one) is (metric.type == "gauge")


def test_alerts_use_metrics_and_labels_that_exist():
    _, alerts = yaml_blocks("metrics.md")
    exported = {f"airflow.{metric.name}".replace(".", "_"): metric for metric in METRICS}
    for rule in alerts["groups"][0]["rules"]:
        used = set(re.findall(r"airflow_\w+", rule["expr"]))
        assert used
        assert used <= exported.keys()
        labels = set(re.findall(r"(\w+)=\"", rule["expr"])) | set(re.findall(r"by \((\w+)\)", rule["expr"]))
        assert labels <= set().union(*(exported[name].tags for name in used))
