"""What a waiting gate sees of its account, and how it takes its place in the queue."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.records import Kind, try_of
from airflow_provider_videodb.triggers import _gates as gates
from airflow_provider_videodb.triggers._gates import (
    IN_TRIGGERER,
    AccountHolds,
    AccountView,
    Reports,
    WaitingGate,
    take_place,
)
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.compat import needs_listed_variables
from tests.unit.triggers.poll_results import SETTINGS, balance

if TYPE_CHECKING:
    from airflow_provider_videodb.holds.rules.account import View

pytestmark = pytest.mark.anyio

ME = Identity.of(a_task(), settlement_ms=0)


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> AirflowChannel:
    channel = AirflowChannel()
    channel.install(monkeypatch)
    return channel


def holds() -> AccountHolds:
    """Return the holds of the account that `SETTINGS` name."""
    return AccountHolds(SETTINGS)


class TestWaitingGate:
    @pytest.mark.parametrize(
        "gate",
        [
            WaitingGate(holds=True, holder="abc.-1", try_id="123", priority=-7, decides_in_worker=True),
            WaitingGate(holds=False, needs_place=True),
            WaitingGate(holds=False, decides_in_worker=True, respects_holds=False),
        ],
    )
    def test_json_form_is_read_back(self, gate):
        assert WaitingGate.from_dict(gate.to_dict()) == gate

    def test_fields_of_a_newer_version_are_ignored(self):
        assert WaitingGate.from_dict({"holds": True, "until": None}) == WaitingGate(holds=True)

    @pytest.mark.parametrize(
        "stored", [{}, {"holds": True, "priority": "high"}, {"holds": True, "priority": None}, "yes"]
    )
    def test_gate_that_cannot_be_read_is_refused(self, stored):
        with pytest.raises(VideoDBConfigError, match="which this version cannot read"):
            WaitingGate.from_dict(stored)

    @needs_listed_variables
    @pytest.mark.parametrize(
        ("gate", "needed", "may_open"),
        [
            (WaitingGate(holds=True), 10, True),
            # 30 on the account, 10 held, 10 promised to the one ahead.
            (WaitingGate(holds=True), 11, False),
            (WaitingGate(holds=True, priority=1), 20, True),
            (WaitingGate(holds=False), 20, True),
            (WaitingGate(holds=False), 21, False),
            (WaitingGate(holds=False, respects_holds=False), 30, True),
            (WaitingGate(holds=False, respects_holds=False), 31, False),
        ],
    )
    def test_gate_leaves_alone_what_is_not_its_own(self, airflow, gate, needed, may_open):
        airflow.put(Kind.HELD, "10", task_id="holds", account="shared")
        airflow.put(Kind.WAITING, "10", task_id="waits", account="shared")
        view = holds().list()

        assert gate.may_open(Decimal(needed), account(view, "30"), view) is may_open

    @needs_listed_variables
    @pytest.mark.parametrize(
        ("gate", "is_due"),
        [
            (WaitingGate(holds=True, holder=ME.holder, try_id="a_later_try"), True),
            (WaitingGate(holds=True, holder=ME.holder, try_id="0123456789ab"), False),
            (WaitingGate(holds=True, holder="somebody.-1", try_id="a_later_try"), False),
            # Its trigger would open it, because a gate without a hold has no worker that decides.
            (WaitingGate(holds=False, holder=ME.holder, try_id="a_later_try"), False),
        ],
    )
    def test_worker_looks_again_only_at_a_hold_of_an_earlier_try(self, airflow, gate, is_due):
        flag = airflow.put(Kind.HELD, "10", account="shared")
        airflow.kept = {flag.key.replace(flag.holder, ME.holder): ""}

        assert gate.has_earlier_hold(holds().list()) is is_due

    @needs_listed_variables
    @pytest.mark.parametrize(
        ("gate", "says"),
        [
            (
                WaitingGate(holds=True, holder=ME.holder),
                (
                    "Waiting: 50 credits needed, 10 available (30 on the account, 10 held by 1 pipeline, 10 promised "
                    "to 1 ahead). Place 2 of 2. Next in line: DAG other, run other_run, task waits."
                ),
            ),
            (
                WaitingGate(holds=False),
                (
                    "Waiting: 50 credits needed, 10 available (30 on the account, 10 held by 1 pipeline, 10 promised "
                    "to 1 ahead). Place 2 of 2."
                ),
            ),
            (WaitingGate(holds=False, respects_holds=False), None),
        ],
    )
    def test_gate_says_why_it_waits(self, airflow, gate, says):
        airflow.put(Kind.HELD, "10", task_id="holds", account="shared")
        airflow.put(Kind.WAITING, "10", task_id="waits", account="shared")
        of_account = holds()
        view = of_account.list()
        seen = gate.claim(Decimal(50), SETTINGS).assess(view, Decimal(30))

        assert gate.describe_wait(Decimal(50), account(view, "30", of_account.first_in_line(view)), seen) == says

    @needs_listed_variables
    def test_first_in_line_is_not_told_about_itself(self, airflow):
        waiting = airflow.put(Kind.WAITING, "50", account="shared")
        of_account = holds()
        view = of_account.list()
        gate = WaitingGate(holds=True, holder=waiting.holder)
        seen = gate.claim(Decimal(50), SETTINGS).assess(view, Decimal(30))

        told = gate.describe_wait(Decimal(50), account(view, "30", of_account.first_in_line(view)), seen)
        assert told == "Waiting: 50 credits needed, 30 available (30 on the account)."

    @needs_listed_variables
    @pytest.mark.parametrize("is_paused", [True, False])
    def test_gate_without_a_hold_speaks_only_of_holds(self, airflow, is_paused):
        if is_paused:
            airflow.put(Kind.PAUSED, "0", account="shared", ms=0)
        view, gate = holds().list(), WaitingGate(holds=False)
        seen = gate.claim(Decimal(50), SETTINGS).assess(view, Decimal(30))

        told = gate.describe_wait(Decimal(50), account(view, "30"), seen)
        assert (told is not None and "paused until somebody resumes it" in told) == is_paused


def account(view: View, credits: str, first: Identity | None = None) -> AccountView:
    usage = balance(credits).value.usage
    return AccountView(usage=usage, settings=SETTINGS, view=view, first=first)


class TestReports:
    def test_first_report_comes_within_the_share_of_the_gate(self):
        reports = Reports()
        first = next(at for at in range(200) if reports.may_report(waiting=1600, now=at))

        assert 0 <= first <= 100

    def test_next_report_waits_longer_the_more_gates_wait(self):
        reports = Reports()
        reports.may_report(waiting=0, now=0)
        assert reports.is_news("a", waiting=160, now=0)

        assert not reports.may_report(waiting=160, now=14.9)
        assert reports.may_report(waiting=160, now=15)

    def test_same_text_is_reported_once(self):
        reports = Reports()

        assert [reports.is_news(text, waiting=1, now=0) for text in "aabba"] == [True, False, True, False, True]


@needs_listed_variables
class TestAccountHolds:
    def test_ended_run_is_released(self, airflow):
        airflow.put(Kind.HELD, "10", account="shared")
        airflow.ended_runs = {"other_run"}
        of_account = holds()

        of_account.collect(of_account.list())

        assert airflow.kinds == [Kind.RELEASED]

    def test_airflow_is_asked_about_a_flag_once_a_minute(self, airflow, monkeypatch):
        clock = SimpleNamespace(now=1000.0)
        monkeypatch.setattr(gates, "time", SimpleNamespace(monotonic=lambda: clock.now))
        airflow.put(Kind.HELD, "10", account="shared")
        of_account = holds()

        asked = []
        for second in (0, 1, 59, 60, 61, 121):
            clock.now = 1000.0 + second
            of_account.collect(of_account.list())
            asked.append(airflow.count("GetDRCount"))

        assert asked == [1, 1, 1, 2, 2, 3]

    @pytest.mark.parametrize("refused", ["GetDRCount", "GetVariable", "PutVariable", "DeleteVariable"])
    def test_failure_to_collect_is_no_failure_of_the_poll(self, airflow, refused):
        airflow.put(Kind.HELD, "10", account="shared")
        airflow.ended_runs = {"other_run"}
        airflow.refused = {refused}
        of_account = holds()

        of_account.collect(of_account.list())

        assert Kind.HELD in airflow.kinds

    def test_listing_that_fails_is_an_error(self, airflow):
        airflow.refused = {"GetVariableKeys"}

        with pytest.raises(VideoDBRecordUnreadableError):
            holds().list()

    def test_other_accounts_are_not_listed(self, airflow):
        airflow.put(Kind.HELD, "10", account="another")

        assert holds().list().flags == ()

    def test_first_in_line_is_known_by_its_value(self, airflow):
        airflow.put(Kind.WAITING, "10", task_id="late", account="shared", ms=5)
        airflow.put(Kind.WAITING, "10", task_id="early", account="shared", ms=3)
        of_account = holds()

        assert str(of_account.first_in_line(of_account.list())) == "DAG other, run other_run, task early"

    def test_nobody_is_first_in_an_empty_queue(self, airflow):
        assert holds().first_in_line(holds().list()) is None

    def test_nobody_is_named_while_airflow_does_not_say(self, airflow):
        airflow.put(Kind.WAITING, "10", account="shared")
        airflow.refused = {"GetVariable"}

        assert holds().first_in_line(holds().list()) is None

    def test_holder_that_was_just_opening_is_recognized_later(self, airflow):
        waiting = airflow.put(Kind.WAITING, "10", account="shared")
        of_account = holds()
        view = of_account.list()
        # The gate opens between the listing and the question who waits.
        airflow.kept = {}
        assert of_account.first_in_line(view) is None
        airflow.put(Kind.HELD, "10", account="shared")
        airflow.ended_runs = {"other_run"}

        of_account.collect(of_account.list())

        assert [(flag.kind, flag.owner) for flag in airflow.flags] == [(Kind.RELEASED, waiting.owner)]


@needs_listed_variables
class TestTakePlace:
    @pytest.fixture(autouse=True)
    def connection(self, emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        del emulator

    async def test_gate_takes_a_place_that_no_worker_wrote(self, airflow):
        gate = WaitingGate(holds=True, priority=3, needs_place=True, decides_in_worker=True)

        placed = await take_place(gate, Decimal(75), conn_id="videodb_default", ti=a_task())

        assert placed == WaitingGate(
            holds=True, holder=ME.holder, try_id=try_of(a_task().id), priority=3, decides_in_worker=True
        )
        (flag,) = airflow.flags
        assert (flag.kind, flag.credits, flag.priority, flag.account) == (Kind.WAITING, 75, 3, "videodb_default")
        assert flag.owner == (ME.holder, placed.try_id + IN_TRIGGERER)
        assert str(Identity.from_text(airflow.kept[flag.key])) == "DAG dag, run run, task gate"

    async def test_place_is_kept_by_a_second_triggerer(self, airflow):
        gate = WaitingGate(holds=True, needs_place=True)
        await take_place(gate, Decimal(75), conn_id="videodb_default", ti=a_task())
        before = dict(airflow.kept)

        await take_place(gate, Decimal(75), conn_id="videodb_default", ti=a_task())

        assert airflow.kept == before

    async def test_trigger_without_a_task_has_no_place(self, airflow):
        gate = WaitingGate(holds=True, needs_place=True)

        with pytest.raises(VideoDBConfigError, match="the task has no place in the queue"):
            await take_place(gate, Decimal(75), conn_id="videodb_default", ti=None)

        assert airflow.kept == {}
