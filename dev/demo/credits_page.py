"""An Airflow whose page "VideoDB" has something of everything to show, and how to open that page."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.journal import PREFIX
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from dev.airflow.dags import EXAMPLE_DAGS, link_dags
from dev.airflow.instance import AirflowInstance
from dev.demo.browser import wait_for_animations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Page

#: The role of each user. The password is the name.
USERS = {"admin": "admin", "op": "op", "viewer": "viewer"}
_LIMITS = {"monthly_topup_limit": 200, "max_topup_amount": 50, "credit_reserve": 2}
_HOUR = 3600_000
_HOLDING_DAG_IDS = ("shared_archive", "shared_highlights") if VARIABLES_CAN_BE_LISTED else ()


@dataclass(frozen=True)
class PageEnvironment:
    """A running emulator and a running Airflow with users."""

    emulator: Emulator
    airflow: AirflowInstance


@contextmanager
def page_environment(home: Path, settings: Mapping[str, str] | None = None) -> Iterator[PageEnvironment]:
    """Start both, with a connection in Airflow's database."""
    with (
        Emulator(credits=30) as emulator,
        AirflowInstance(
            home,
            dags_folder=link_dags(home / "dags", EXAMPLE_DAGS),
            users=USERS,
            settings=settings,
        ) as airflow,
    ):
        add_connection(airflow, "videodb_default", emulator.connection, extra=_LIMITS)
        for dag_id in ("credit_gate", "ensure_credits", *_HOLDING_DAG_IDS):
            airflow.api.wait_for_dag(dag_id)
        yield PageEnvironment(emulator, airflow)


def add_connection(
    airflow: AirflowInstance, conn_id: str, fields: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None
) -> None:
    """Store a connection in Airflow's database, so that Airflow can list it."""
    airflow.api.set_connection(
        conn_id,
        conn_type="videodb",
        host=fields["host"],
        password=fields["password"],
        extra=json.dumps(dict(extra or {})),
    )


def draw_approval_line(scene: PageEnvironment, *, above: int) -> None:
    """Let a person approve each purchase above this many US dollars."""
    extra = _LIMITS | {"approval_above": above}
    add_connection(scene.airflow, "videodb_default", scene.emulator.connection, extra=extra)


def fill(emulator: Emulator, airflow: AirflowInstance, *, holders: int = 2) -> None:
    """Buy, use, hold and release credits, and let a task wait for a payment."""
    for operation, credits in (("index_spoken_words", 14), ("index_scenes", 9), ("upload", 2.5), ("search", 0.75)):
        emulator.charge(credits, operation)
    airflow.api.trigger("credit_gate").wait_for_task("top_up", "deferred")
    now = int(time.time() * 1000)
    for number in range(holders):
        put_hold(
            airflow, Kind.HELD, credits=1 + number % 3, run_id=f"scheduled__{number}", ms=now - (number + 1) * _HOUR
        )
    put_hold(airflow, Kind.WAITING, credits=25, dag_id="shared_highlights", run_id="manual__1", ms=now - 2 * _HOUR)
    note = {
        "format": 1,
        "credits": 12,
        "spent": 9.5,
        "held_since_ms": now - 5 * _HOUR,
        "released_by": "task credits_release",
        "dag_id": "shared_archive",
        "run_id": "scheduled__0",
        "task_id": "credits",
        "map_index": -1,
    }
    _put(airflow, f"{PREFIX}videodb_default/{now - 3 * _HOUR}/0123456789abcdef.-1/try", json.dumps(note))


def put_hold(
    airflow: AirflowInstance,
    kind: Kind,
    *,
    credits: int,
    run_id: str,
    ms: int,
    dag_id: str = "shared_archive",
    task_id: str = "credits",
) -> None:
    """Record what a gate would record."""
    who = Identity(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=-1, try_number=1, settlement_ms=20 * 60_000)
    flag = Flag(account="videodb_default", holder=who.holder, try_id="page", kind=kind, credits=Decimal(credits), ms=ms)
    _put(airflow, flag.key, who.to_text(kind=kind.name.lower()))


def _put(airflow: AirflowInstance, key: str, value: str) -> None:
    airflow.api.request("POST", "/variables", json={"key": key, "value": value})


def log_in_as(page: Page, airflow: AirflowInstance, user: str) -> None:
    """Type name and password."""
    page.goto(f"{airflow.url}/auth/login?next={airflow.url}/")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(user)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="VideoDB").or_(page.get_by_text("VideoDB")).first.wait_for()


def open_credits_page(page: Page, airflow: AirflowInstance, *, theme: str = "light") -> None:
    """Open the page, and wait until nothing on it is being read."""
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.goto(f"{airflow.url}/plugin/videodb")
    page.get_by_role("heading", name="VideoDB credits").wait_for()
    page.wait_for_function("!document.querySelector('.vdb').innerText.includes('Reading…')")
    page.wait_for_function("!document.querySelector('.vdb').innerText.includes('…')")
    wait_for_animations(page)


def fit_window(page: Page, *, width: int, most: int = 6000) -> None:
    """Make the window as high as the page, for a picture of the whole page."""
    page.set_viewport_size({"width": width, "height": 900})
    height = page.evaluate("document.querySelector('.vdb').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(most, height)})
