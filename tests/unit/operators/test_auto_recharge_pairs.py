"""A pair sets automatic recharge and brings back what it found, whatever fails, is cleared or dies in between."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import TaskInstanceState, get_current_context, task, task_group

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError
from airflow_provider_videodb.operators._recharge_note import delete_note
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from tests.conftest import API_KEY
from tests.support.dag_runs import Run, new_dag, run
from tests.support.purchases import Died, Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("airflow_db")

PATH = "/billing/auto_recharge"
FOUND = (False, Decimal(5), Decimal(25))
SET = (True, Decimal(20), Decimal(100))


@pytest.fixture(autouse=True)
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An account whose automatic recharge is off; what is tried again here is the task, not the call."""
    connect(emulator, "videodb_default", monkeypatch)
    emulator.set_auto_recharge(enabled=False, threshold=5, amount=25)
    return emulator


@pytest.fixture
def other_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(credits=3, api_key=API_KEY) as running:
        connect(running, "other", monkeypatch)
        running.set_auto_recharge(enabled=False, threshold=7, amount=35)
        yield running


def connect(emulator: Emulator, conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = emulator.connection | {"extra": json.dumps({"max_retries": 0})}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def stored(emulator: Emulator) -> tuple[bool, Decimal | None, Decimal | None]:
    settings = emulator.auto_recharge
    return settings.enabled, settings.threshold, settings.amount


def writes(emulator: Emulator) -> int:
    return len(emulator.calls("POST"))


def notes() -> dict[str, Any]:
    """Return what is kept in Variables, by the task that keeps it."""
    return {key.split("__")[-3]: json.loads(value) for key, value in variables().items()}


def variables() -> dict[str, str]:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        kept = session.scalars(select(Variable).where(Variable.key.startswith("videodb_auto_recharge__"))).all()
        return {variable.key: variable.get_val() for variable in kept}


@pytest.fixture(autouse=True)
def _no_notes_of_earlier_tests() -> None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key.startswith("videodb_auto_recharge__")))


def clear(*task_ids: str) -> None:
    """Clear tasks of the DAG run that the calling task is in, as a person does while it runs."""
    from airflow.models.taskinstance import clear_task_instances

    with task_instances(*task_ids) as (session, chosen):
        clear_task_instances(chosen, session)


def mark_failed(task_id: str) -> None:
    """Mark a task of that DAG run as failed."""
    with task_instances(task_id) as (session, (chosen,)):
        chosen.set_state(TaskInstanceState.FAILED, session=session)


@contextmanager
def task_instances(*task_ids: str) -> Iterator[tuple[Any, list[Any]]]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ti = get_current_context()["ti"]
    with create_session() as session:
        chosen = select(TaskInstance).where(
            TaskInstance.dag_id == ti.dag_id, TaskInstance.run_id == ti.run_id, TaskInstance.task_id.in_(task_ids)
        )
        yield session, list(session.scalars(chosen))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what the operators write to their logs, which Airflow keeps elsewhere."""
    logger = logging.getLogger("tests.auto_recharge")
    monkeypatch.setattr(AutoRechargeOperator, "log", logger)
    caplog.set_level(logging.INFO, logger.name)
    return caplog


def once(*acts: Callable[[], object]) -> Callable[[], None]:
    """Do all of it the first time."""
    left = list(acts)

    def act() -> None:
        while left:
            left.pop(0)()

    return act


class Pair:
    """
    One run of `on >> job >> back`, the latter a teardown, with a task after the job so that its failure counts.

    :param job: what happens while the job works.
    :param afterwards: what happens after the teardown.
    """

    def __init__(
        self,
        *,
        job: Callable[[], object] = lambda: None,
        afterwards: Callable[[], object] | None = None,
        on: dict[str, Any] | None = None,
        back: dict[str, Any] | None = None,
    ) -> None:
        self.errors: dict[str, list[BaseException]] = {"on": [], "back": []}
        common = {"retry_delay": timedelta(0), "on_retry_callback": self._keep, "on_failure_callback": self._keep}
        with new_dag("pair") as dag:
            setup = AutoRechargeOperator(task_id="on", **common | {"threshold": 20, "amount": 100} | (on or {}))
            teardown = AutoRechargeOperator(task_id="back", **common | {"restore": setup.output} | (back or {}))
            working = task(task_id="job")(job)()
            setup >> working >> teardown.as_teardown(setups=setup, on_failure_fail_dagrun=True)
            working >> task(task_id="report")(lambda: None)()
            if afterwards is not None:
                teardown >> task(task_id="afterwards")(afterwards)()
        self.run: Run = run(dag)

    def states(self) -> tuple[str, str, str]:
        """Return how setup, teardown and run ended."""
        return self.run.task_state("on"), self.run.task_state("back"), self.run.state

    def _keep(self, context: Any) -> None:
        self.errors[context["ti"].task_id].append(context["exception"])


def test_setup_cleared_while_the_job_works_returns_what_it_first_found(account):
    during = []
    pair = Pair(job=once(lambda: during.append(stored(account)), lambda: clear("on")))

    assert during == [SET]
    assert pair.run.tries("on") == 2
    assert pair.run.result("on")["before"] == {"enabled": False, "threshold": 5, "amount": 25}
    assert pair.run.result("on")["changed"]
    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert notes() == {}


def test_setup_and_job_cleared_together_bring_back_what_was_first_found(account):
    Pair(job=once(lambda: clear("on", "job")))

    assert stored(account) == FOUND


def test_setup_cleared_after_somebody_changed_the_settings_keeps_what_it_first_found(account, log):
    Pair(job=once(lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44), lambda: clear("on")))

    assert "Somebody else has set automatic recharge on (threshold 33, amount 44) in the meantime." in log.messages
    assert stored(account) == FOUND


@pytest.mark.parametrize(("method", "skip"), [("POST", 0), ("GET", 0), ("GET", 1)])
def test_teardown_that_cannot_restore_fails_the_run_and_says_what_is_still_on(account, log, method, skip):
    failing = once(lambda: account.add_fault("status", method=method, path=PATH, status=503, times=None, skip=skip))
    pair = Pair(job=failing, back={"retries": 2})

    assert pair.states() == ("success", "failed", "failed")
    assert pair.run.tries("back") == 3
    error = str(pair.errors["back"][0])
    assert error.startswith("Automatic recharge may still be on (threshold 20, amount 100).")
    assert "Automatic recharge may still be on (threshold 20, amount 100)." in log.messages
    assert max(len(record.getMessage()) for record in log.records if record.levelno == logging.ERROR) <= 75
    assert ("503" in error) is (method == "GET")
    assert "This DAG run found it off (threshold 5, amount 25)." in error
    assert error.endswith("Next step: clear this task, or set it in VideoDB's console.")
    assert list(notes()) == ["on"]


def test_teardown_is_retried_until_videodb_answers(account):
    pair = Pair(
        job=lambda: account.add_fault("status", method="POST", path=PATH, status=503, times=2), back={"retries": 2}
    )

    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert notes() == {}


@pytest.mark.parametrize("status", [401, 403])
def test_teardown_whose_key_is_refused_fails_at_once_and_says_what_is_still_on(account, status):
    pair = Pair(job=lambda: account.add_fault("status", path=PATH, status=status, times=None), back={"retries": 2})

    assert pair.run.tries("back") == 1
    assert "may still be on" in str(pair.errors["back"][0])
    assert pair.run.state == "failed"


def test_failed_job_fails_the_run_although_the_settings_are_brought_back(account):
    def fails() -> None:
        raise RuntimeError("the job failed")

    assert Pair(job=fails).states() == ("success", "success", "failed")
    assert stored(account) == FOUND


@pytest.mark.parametrize("kind", ["status", "drop_before", "truncated"])
def test_setup_that_fails_after_its_effect_says_what_may_be_on_and_is_brought_back(account, kind):
    account.add_fault(kind, method="GET", path=PATH, skip=1)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert pair.run.task_state("job") == "upstream_failed"
    assert str(pair.errors["on"][0]).startswith("Automatic recharge may be on (threshold 20, amount 100).")
    assert "This DAG run found it off (threshold 5, amount 25)." in str(pair.errors["on"][0])
    assert writes(account) == 2
    assert stored(account) == FOUND
    assert notes() == {}


def test_retry_of_a_setup_that_cannot_be_read_still_says_what_may_be_on(account):
    account.add_fault("status", method="GET", path=PATH, skip=1, times=None, status=503)
    pair = Pair(on={"retries": 1})

    assert all("may be on" in str(error) for error in pair.errors["on"])
    assert len(pair.errors["on"]) == 2
    assert "may still be on" in str(pair.errors["back"][0])


def test_setup_that_fails_before_its_effect_leaves_nothing_to_bring_back(account):
    account.add_fault("status", method="GET", path=PATH, status=503)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert "may be" not in str(pair.errors["on"][0])
    assert writes(account) == 0


@pytest.mark.parametrize("status", [402, 429])
def test_setup_that_is_refused_leaves_nothing_to_bring_back(account, status):
    account.add_fault("status", method="POST", path=PATH, status=status)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert (writes(account), stored(account), notes()) == (1, FOUND, {})


def test_setup_that_finds_what_it_wants_leaves_later_changes_alone(account):
    account.set_auto_recharge(enabled=True, threshold=20, amount=100)
    Pair(job=lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44))

    assert stored(account) == (True, 33, 44)
    assert writes(account) == 0


def test_teardown_says_what_it_overwrites(account, log):
    pair = Pair(job=lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44))

    assert stored(account) == FOUND
    assert "Overwriting what somebody else has set in the meantime: on (threshold 33, amount 44)." in log.messages
    assert pair.run.result("back")["before"] == {"enabled": True, "threshold": 33, "amount": 44}


def test_teardown_cleared_after_it_restored_leaves_later_changes_alone(account, log):
    pair = Pair(
        afterwards=once(
            lambda: account.set_auto_recharge(enabled=True, threshold=20, amount=100), lambda: clear("back")
        )
    )

    assert pair.run.tries("back") == 2
    assert pair.run.result("back")["changed"] is False
    assert (
        "Nothing to bring back: it was brought back already. Automatic recharge is on (threshold 20, amount 100)."
        in log.messages
    )
    assert stored(account) == SET


def test_run_cleared_as_a_whole_brings_back_what_it_finds_then(account):
    pair = Pair(
        afterwards=once(
            lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44),
            lambda: clear("on", "job", "back"),
        )
    )

    assert pair.run.result("on")["before"] == {"enabled": True, "threshold": 33, "amount": 44}
    assert stored(account) == (True, 33, 44)


NOTE, CLIENT = "operators._recharge_note", "api.client.BillingClient"
DEATHS = [
    *(Point(NOTE, name, after=after) for name in ("load_note", "save_note") for after in (False, True)),
    *(
        Point(CLIENT, name, after=after)
        for name in ("get_auto_recharge", "set_auto_recharge")
        for after in (False, True)
    ),
    Point(CLIENT, "get_auto_recharge", nth=2),
    Point(CLIENT, "get_auto_recharge", nth=2, after=True),
]


@contextmanager
def dying(point: Point) -> Iterator[None]:
    """Let the task die there, once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        point.breaks(Died("the worker is gone"), monkeypatch)
        yield


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("point", DEATHS, ids=str)
def test_setup_may_die_anywhere(account, point, retries):
    during = []
    with dying(point):
        pair = Pair(job=lambda: during.append(stored(account)), on={"retries": retries})

    assert pair.states() == (("success",) * 3 if retries else ("failed", "success", "failed"))
    assert during == ([SET] if retries else [])
    assert stored(account) == FOUND
    assert notes() == {}


@pytest.mark.parametrize(
    "point", [*DEATHS, Point(NOTE, "delete_note"), Point(NOTE, "delete_note", after=True)], ids=str
)
def test_teardown_may_die_anywhere(account, point):
    with pytest.MonkeyPatch.context() as monkeypatch:
        pair = Pair(job=once(lambda: point.breaks(Died("gone"), monkeypatch)), back={"retries": 1})

    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert notes() == {}


def during(owner: str, method: str, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen right before a call of ours, at its first time."""
    from airflow.sdk._shared.module_loading import import_string

    target = import_string(f"airflow_provider_videodb.{owner}")
    original, first = getattr(target, method), once(act)

    def called(*args: Any, **kwargs: Any) -> Any:
        first()
        return original(*args, **kwargs)

    monkeypatch.setattr(target, method, called)


def test_setup_that_is_marked_failed_before_its_write_writes_nothing(account, monkeypatch):
    during(NOTE, "save_note", lambda: mark_failed("on"), monkeypatch)
    pair = Pair()

    assert type(pair.errors["on"][0]).__name__ == "VideoDBTryOverError"
    assert writes(account) == 0
    assert stored(account) == FOUND


@pytest.mark.parametrize("task_id", ["on", "back"])
def test_try_that_a_clear_has_replaced_writes_nothing(account, monkeypatch, task_id):
    cleared = once(lambda: clear(task_id))
    original = BillingClient.get_auto_recharge

    def read(self: BillingClient) -> Any:
        if get_current_context()["ti"].task_id == task_id:
            cleared()
        return original(self)

    monkeypatch.setattr(BillingClient, "get_auto_recharge", read)
    # dag.test() tells a task that was cleared as it ran from one that failed by nothing: a retry is its next try.
    pair = Pair(on={"retries": 1}, back={"retries": 1})

    assert type(pair.errors[task_id][0]).__name__ == "VideoDBTryOverError"
    assert pair.states() == ("success", "success", "success")
    # The replaced try has written nothing, so that each of the two wrote once.
    assert writes(account) == 2
    assert stored(account) == FOUND
    assert notes() == {}


def test_setup_that_was_brought_back_while_it_wrote_brings_back_what_it_found(account, monkeypatch):
    """Marked failed, a task runs on for seconds, and its teardown may come before its POST does."""

    def teardown_runs() -> None:
        (key,) = variables()
        delete_note(key)

    during(CLIENT, "set_auto_recharge", teardown_runs, monkeypatch)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert type(pair.errors["on"][0]).__name__ == "VideoDBTryOverError"
    assert stored(account) == FOUND


def test_note_that_cannot_be_written_lets_nothing_be_changed(account, monkeypatch):
    def refuses(*_: object) -> None:
        raise VideoDBRecordUnreadableError("the database refuses writes")

    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.write_variable", refuses)
    pair = Pair(on={"retries": 1})

    assert pair.states() == ("failed", "success", "failed")
    assert writes(account) == 0


def test_note_that_cannot_be_read_is_not_taken_for_nothing_to_bring_back(account, monkeypatch):
    def refuses(*_: object) -> None:
        raise VideoDBRecordUnreadableError("the database refuses reads")

    pair = Pair(
        job=lambda: monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.read_variable", refuses)
    )

    assert pair.states() == ("success", "failed", "failed")
    assert str(pair.errors["back"][0]).startswith("Automatic recharge may still be as task on set it.")


def test_two_pairs_in_one_run_bring_back_each_its_own_account(account, other_account):
    with new_dag("two_pairs") as dag:

        @task
        def job() -> None:
            raise RuntimeError("the job failed")

        working = job()
        for conn_id, figures in (("videodb_default", (20, 100)), ("other", (30, 200))):
            on = AutoRechargeOperator(
                task_id=f"on_{conn_id}", threshold=figures[0], amount=figures[1], videodb_conn_id=conn_id
            )
            back = AutoRechargeOperator(task_id=f"back_{conn_id}", restore=on.output, videodb_conn_id=conn_id)
            on >> working >> back.as_teardown(setups=on)

    run(dag)

    assert (writes(account), writes(other_account)) == (2, 2)
    assert stored(account) == FOUND
    assert stored(other_account) == (False, 7, 35)
    assert notes() == {}


def test_nested_pairs_bring_back_each_what_it_found(account):
    during = []
    with new_dag("nested") as dag:
        outer_on = AutoRechargeOperator(task_id="outer_on", threshold=20, amount=100)
        inner_on = AutoRechargeOperator(task_id="inner_on", threshold=30, amount=200)
        inner_back = AutoRechargeOperator(task_id="inner_back", restore=inner_on.output)
        outer_back = AutoRechargeOperator(task_id="outer_back", restore=outer_on.output)

        @task
        def look() -> None:
            during.append(stored(account))

        outer_on >> inner_on >> inner_back >> look() >> outer_back

    assert run(dag).state == "success"
    assert during == [SET]
    assert stored(account) == FOUND
    assert notes() == {}


def test_what_one_account_had_is_not_brought_to_another(account, other_account):
    pair = Pair(back={"videodb_conn_id": "other", "retries": 2})

    assert pair.states() == ("success", "failed", "failed")
    assert pair.run.tries("back") == 1
    error = str(pair.errors["back"][0])
    assert "'other'" in error
    assert "'videodb_default'" in error
    assert "may still be" in error
    assert other_account.calls() == []


def test_pair_in_a_mapped_task_group_brings_back_each_its_own_account(account, other_account):
    with new_dag("mapped_pairs") as dag:

        @task_group
        def with_recharge(conn_id: str) -> None:
            on = AutoRechargeOperator(task_id="on", threshold=20, amount=100, videodb_conn_id=conn_id)
            back = AutoRechargeOperator(task_id="back", restore=on.output, videodb_conn_id=conn_id)
            job = task(task_id="job")(lambda: None)()
            on >> job >> back.as_teardown(setups=on)

        with_recharge.expand(conn_id=["videodb_default", "other"])
    # The second copy's setup fails after its effect.
    other_account.add_fault("status", method="GET", path=PATH, skip=1)

    finished = run(dag)

    states = {(ti.task_id, ti.map_index): str(ti.state) for ti in finished.dag_run.get_task_instances()}
    assert states["with_recharge.on", 1] == "failed"
    assert states["with_recharge.back", 0] == states["with_recharge.back", 1] == "success"
    assert stored(account) == FOUND
    assert stored(other_account) == (False, 7, 35)
    assert notes() == {}


def test_mapped_setups_are_not_brought_back_by_one_task(account):
    with new_dag("mapped_setup") as dag:
        on = AutoRechargeOperator.partial(task_id="on", amount=100).expand(threshold=[20])
        AutoRechargeOperator(task_id="back", restore=on.output)

    finished = run(dag)

    assert finished.task_state("back") == "failed"


@pytest.mark.parametrize("rule", ["all_done", "all_success"])
def test_pair_of_ordinary_tasks_brings_back_too(account, rule):
    with new_dag("ordinary") as dag:
        on = AutoRechargeOperator(task_id="on", threshold=20, amount=100)
        back = AutoRechargeOperator(task_id="back", restore=on.output, trigger_rule=rule)
        on >> task(task_id="job")(lambda: None)() >> back

    assert run(dag).state == "success"
    assert stored(account) == FOUND
    assert notes() == {}


def test_settings_given_as_such_are_set(account):
    before = {"before": {"enabled": True, "threshold": 11, "amount": 22}}
    with new_dag("as_such") as dag:
        AutoRechargeOperator(task_id="literal", restore=before)

    assert run(dag).state == "success"
    assert stored(account) == (True, 11, 22)
    assert notes() == {}


def test_task_that_nobody_restores_leaves_no_note(account):
    with new_dag("alone") as dag:
        AutoRechargeOperator(task_id="on", threshold=20, amount=100)

    assert run(dag).state == "success"
    assert stored(account) == SET
    assert notes() == {}
