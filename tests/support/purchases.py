"""Run a task that buys, with a person who pays and failures at chosen points."""

from __future__ import annotations

import functools
import json
import pkgutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.purchases.variables import variable_key
from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR
from tests.support.dag_runs import Run, new_dag, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest
    from airflow.sdk import BaseNotifier

    from airflow_provider_videodb.emulator.server import Emulator

TASK = "buy"
TOPUP = "/billing/topup"
LIST = "/billing/checkouts"
USAGE = "/billing/usage"
VARIABLES = "variables"
#: Where a purchase can be recorded; the first is the one that this Airflow uses.
RECORD_STORES = ("task state store", VARIABLES) if STATE_STORE_OUTLIVES_CLEAR else (VARIABLES,)


class Died(BaseException):
    """The death of a process, which our code must not catch."""


@dataclass
class Person:
    """Sees each link, and counts those that can be paid at the same time."""

    emulator: Emulator
    links: list[str] = field(default_factory=list)
    most_payable: int = 0
    on_sight: Callable[[], object] = lambda: None
    while_waiting: Callable[[], object] = lambda: None

    def sees(self, url: str) -> None:
        if url not in self.links:
            self.links.append(url)
        payable = [link for link in self.links if self.emulator.checkout(id_of(link)).status == "pending"]
        self.most_payable = max(self.most_payable, len(payable))
        self.on_sight()

    def pays(self) -> None:
        """Pay the newest link, as a click on its page does."""
        if self.links and self.emulator.checkout(id_of(self.links[-1])).status == "pending":
            self.emulator.pay(id_of(self.links[-1]))

    def expires(self) -> None:
        """Let the newest checkout expire."""
        self.emulator.expire(id_of(self.links[-1]))


def in_turn(*acts: Callable[[], object]) -> Callable[[], None]:
    """Return a function whose n-th call does the n-th thing."""
    left = iter(acts)

    def act() -> None:
        for chosen in left:
            chosen()
            return

    return act


def id_of(link: str) -> str:
    return link.rsplit("/", 1)[1]


def watched_by(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the person about each link and each start of a wait."""
    from airflow_provider_videodb.operators._purchasing import PurchasingOperator
    from airflow_provider_videodb.triggers._base import BillingTrigger

    push_link, start = PurchasingOperator.push_link, BillingTrigger.start

    def pushed(self: PurchasingOperator, context: Any, url: str | None) -> None:
        push_link(self, context, url)
        if url is not None:
            person.sees(url)

    def started(self: BillingTrigger) -> None:
        start(self)
        person.while_waiting()

    monkeypatch.setattr(PurchasingOperator, "push_link", pushed)
    monkeypatch.setattr(BillingTrigger, "start", started)


@dataclass(frozen=True)
class Point:
    """A moment just before or after the n-th call of a method."""

    owner: str
    method: str
    after: bool = False
    nth: int = 1

    def breaks(self, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Raise ``error`` there once; the returned list is empty until then."""

        def fail() -> None:
            raise error

        return self.does(fail, monkeypatch)

    def does(self, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Call ``act`` there once; the returned list is empty until then."""
        owner = pkgutil.resolve_name(f"airflow_provider_videodb.{self.owner}")
        original = getattr(owner, self.method)
        calls = iter(range(1, 1_000_000))
        met: list[bool] = []

        @functools.wraps(original)
        def acting(*args: Any, **kwargs: Any) -> Any:
            now = next(calls) == self.nth
            if now:
                met.append(True)
            if now and not self.after:
                act()
            result = original(*args, **kwargs)
            if now and self.after:
                act()
            return result

        monkeypatch.setattr(owner, self.method, acting)
        return met


BEFORE_THE_WAIT = Point("operators._purchasing.PurchasingOperator", "wait")


@dataclass
class Bought:
    """A finished run of one task that buys."""

    run: Run
    errors: list[BaseException]

    @property
    def state(self) -> str:
        return self.run.task_state(TASK)

    @property
    def tries(self) -> int:
        return self.run.tries(TASK)

    @property
    def result(self) -> Any:
        return self.run.result(TASK)

    @property
    def cause(self) -> BaseException | None:
        """The error of this package that became the exception which Airflow does not retry."""
        return self.errors[-1].__context__


class PurchaseRuns:
    """A DAG with one task that buys; it keeps the errors of the task."""

    def __init__(self, operator: str = "TopupOperator", *, retries: int = 0, **arguments: Any) -> None:
        from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
        from airflow_provider_videodb.operators.topup import TopupOperator

        self.errors: list[BaseException] = []
        arguments = {"notifiers": [_told_nobody()]} | arguments
        # A busy machine may need half a minute for one DAG run.
        wait = {"poll_interval": 0.05, "payment_timeout": 60}
        with new_dag("purchasing") as self.dag:
            self.task = {one.__name__: one for one in (EnsureCreditsOperator, TopupOperator)}[operator](
                task_id=TASK,
                retries=retries,
                retry_delay=timedelta(0),
                on_retry_callback=self._keep_error,
                on_failure_callback=self._keep_error,
                **wait | arguments,
            )

    def run(self, **kwargs: Any) -> Bought:
        return Bought(run(self.dag, **kwargs), self.errors)

    def clear(self, bought: Bought) -> Bought:
        """Run the task once more, as after a clear by a user."""
        with _same_run(bought.run.dag_run):
            return self.run(logical_date=bought.run.dag_run.logical_date)

    def _keep_error(self, context: Any) -> None:
        # Airflow below 3.3 passes no exception that is only a `BaseException`.
        if "exception" in context:
            self.errors.append(context["exception"])


def _told_nobody() -> BaseNotifier:
    """Return a notifier that does nothing, so that the task calls one."""
    from airflow.sdk import BaseNotifier

    class Silent(BaseNotifier):
        def notify(self, context: Any) -> None:
            pass

    return Silent()


@contextmanager
def _same_run(dag_run: Any) -> Iterator[None]:
    """Make `dag.test()` continue a run, which it would replace otherwise."""
    from unittest.mock import patch

    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState

    def cleared(*, dag: Any, session: Any, **_: Any) -> DagRun:
        existing: DagRun = session.get(DagRun, dag_run.id)
        existing.dag = dag
        existing.state = DagRunState.RUNNING
        session.commit()
        return existing

    with patch("airflow.models.dagrun.get_or_create_dagrun", cleared):
        yield


def kept_in_xcom() -> dict[str, Any]:
    """Return the present XCom of the newest run of the task."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.execute(
            select(XComModel.key, XComModel.value)
            .where(XComModel.dag_id == "purchasing", XComModel.task_id == TASK)
            .order_by(XComModel.dag_run_id)
        )
        return {row.key: XComModel.deserialize_value(row) for row in rows}


def journal_of(bought: Bought) -> Any:
    """Return the stored purchase of a run from either store, or ``None``."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    variable = variable_key("videodb_purchase", "purchasing", bought.run.dag_run.run_id, TASK, "-1")
    value = Variable.get(variable, default_var=None)
    if value is None and STATE_STORE_OUTLIVES_CLEAR:
        from airflow.models.task_state_store import TaskStateStoreModel

        with create_session() as session:
            value = session.scalar(
                select(TaskStateStoreModel.value).where(
                    TaskStateStoreModel.dag_run_id == bought.run.dag_run.id,
                    TaskStateStoreModel.key == "videodb_purchase",
                )
            )
    return None if value is None else json.loads(value)["purchase"]
