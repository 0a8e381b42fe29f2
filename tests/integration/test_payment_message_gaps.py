"""Whoever was asked to pay hears of each turn, also after a clear, a retry and a stop."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError, VideoDBTryOverError
from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from airflow_provider_videodb.operators._messages import PaymentMessages
from airflow_provider_videodb.operators._topup_run import TopupRun
from airflow_provider_videodb.purchases.current_try import CurrentTry
from airflow_provider_videodb.purchases.rules import candidates
from tests.support import inbox as inboxes
from tests.support.inbox import open_inbox
from tests.support.purchases import USAGE, Point, PurchaseRuns, id_of, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.inbox import Inbox
    from tests.support.purchases import Person

OFTEN = {"remind_every": 0.3}


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with open_inbox(monkeypatch) as opened:
        yield opened


def by_mail() -> PaymentRequestNotifier:
    return PaymentRequestNotifier(SmtpNotifier(to="payer@example.com", smtp_conn_id=inboxes.MAIL))


def kinds(inbox: Inbox) -> list[str]:
    return [subject.split(" ")[0] for subject in inbox.subjects]


def test_cleared_task_asks_again_after_not_needed(person: Person, emulator: Emulator, inbox: Inbox) -> None:
    person.while_waiting = lambda: emulator.set_balance(60)
    runs = PurchaseRuns("EnsureCreditsOperator", credits=53, notifiers=[by_mail()])
    bought = runs.run()
    assert kinds(inbox) == ["Please", "No"]
    emulator.set_balance(3)
    person.while_waiting = person.pays
    runs.clear(bought)

    assert kinds(inbox) == ["Please", "No", "Please", "Paid:"]
    assert len(person.links) == 1


def test_cleared_task_asks_again_after_it_gave_up(person: Person, inbox: Inbox) -> None:
    person.while_waiting = lambda: None
    runs = PurchaseRuns(amount=50, notifiers=[by_mail()], payment_timeout=1)
    bought = runs.run()
    runs.clear(bought)
    assert kinds(inbox) == ["Please", "Not", "Please", "Not"]


def test_retry_that_fails_at_once_says_so(person: Person, emulator: Emulator, inbox: Inbox) -> None:
    def refuse() -> None:
        emulator.add_fault("status", method="GET", path=USAGE, times=None, status=401)

    person.while_waiting = refuse
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], payment_timeout=1, retries=1).run()

    assert (bought.state, bought.tries) == ("failed", 2)
    assert kinds(inbox) == ["Please", "Not"]


def test_refused_new_link_is_announced(
    person: Person, inbox: Inbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expired message promised a new link."""
    monkeypatch.setattr(candidates, "CHECKOUT_LIFETIME", timedelta(0))

    def expire() -> None:
        person.expires()
        connect(max_topup_amount=10)

    person.while_waiting = expire
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], retries=1).run()

    assert (bought.state, bought.tries) == ("failed", 2)
    assert kinds(inbox) == ["Please", "Expired:", "Not"]
    assert "max_topup_amount" in inbox.html(2)


def test_try_that_is_over_says_nothing(person: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: object) -> None:
        raise VideoDBTryOverError("A newer try has begun.")

    person.while_waiting = lambda: monkeypatch.setattr(CurrentTry, "check", end)
    monkeypatch.setattr(TopupRun, "after_trigger", lambda run, _: run.executor.current_try.check())
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], payment_timeout=1).run()

    assert bought.state == "failed"
    assert kinds(inbox) == ["Please"]


def test_reminder_waits_for_a_documented_state(person: Person, emulator: Emulator, inbox: Inbox) -> None:
    waits: list[None] = []

    def look() -> None:
        waits.append(None)
        emulator.show_checkout_as(id_of(person.links[0]), status="processing")

    person.while_waiting = look
    PurchaseRuns(amount=50, notifiers=[by_mail()], payment_timeout=1.5, deferrable=False, **OFTEN).run()

    assert len(waits) == 1
    assert kinds(inbox) == ["Please", "Not"]


def test_reminder_that_cannot_be_sent_is_not_due_at_once(
    person: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[None] = []
    person.while_waiting = lambda: waits.append(None)
    monkeypatch.setattr(PaymentMessages, "_is_open", lambda *_: False)
    PurchaseRuns(amount=50, notifiers=[by_mail()], payment_timeout=3, deferrable=False, remind_every=1).run()

    assert 2 <= len(waits) <= 4
    assert kinds(inbox) == ["Please", "Not"]


@pytest.mark.parametrize("deferrable", [True, False])
def test_reminder_ends_no_wait_without_the_record(
    person: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, *, deferrable: bool
) -> None:
    def break_record() -> None:
        unreadable = VideoDBRecordUnreadableError("Airflow's database is away.")
        Point("purchases.executor.PurchaseExecutor", "load_existing").breaks(unreadable, monkeypatch)

    met = Point("operators._messages.PaymentMessages", "remind").does(break_record, monkeypatch)
    person.while_waiting = in_turn(lambda: None, lambda: None, person.pays)
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], deferrable=deferrable, **OFTEN).run()

    assert met
    assert (bought.state, bought.tries) == ("success", 1)
    assert kinds(inbox) == ["Please", "Reminder:", "Paid:"]


def test_reminder_ends_no_wait_without_the_connection(
    person: Person, emulator: Emulator, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow raises the same error for a connection that is missing and for one that it cannot read."""
    name = "AIRFLOW_CONN_VIDEODB_DEFAULT"

    def come_back() -> None:
        monkeypatch.setenv(name, emulator.connection_json)

    met = Point("operators._messages.PaymentMessages", "remind").does(partial(monkeypatch.delenv, name), monkeypatch)
    person.while_waiting = in_turn(lambda: None, come_back, person.pays)
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], **OFTEN).run()

    assert met
    assert (bought.state, bought.tries) == ("success", 1)
    assert kinds(inbox) == ["Please", "Reminder:", "Paid:"]
