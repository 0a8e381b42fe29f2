"""Mails that ask for an approval and report its result, received by a real mail server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from tests.support import inbox as inboxes
from tests.support.approvals import Approver, cleared
from tests.support.inbox import open_inbox
from tests.support.orders import Notifier
from tests.support.purchases import TASK, Died, Point, PurchaseRuns, journal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.inbox import Inbox
    from tests.support.purchases import Person

DESK = "operators._approval_run.ApprovalDesk"
JOURNAL = "purchases.journal.Journal"
NEEDED = "Please approve 50 USD for VideoDB credits (purchasing)"
NOT_BOUGHT = "Not bought: 50 USD for VideoDB credits (purchasing)"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with open_inbox(monkeypatch) as opened:
        yield opened


@pytest.fixture
def approver(person: Person) -> Iterator[Approver]:
    with Approver().attends() as somebody:
        yield somebody


def by_mail() -> PaymentRequestNotifier:
    return PaymentRequestNotifier(SmtpNotifier(to="payer@example.com", smtp_conn_id=inboxes.MAIL))


def runs(**arguments: Any) -> PurchaseRuns:
    return PurchaseRuns(**{"amount": 50, "approval": True, "notifiers": [by_mail()]} | arguments)


def test_mail_asks_before_the_response_and_says_what_for(
    approver: Approver, inbox: Inbox, connect: Callable[..., None]
) -> None:
    connect(monthly_topup_limit=100)
    approver.before_response = lambda: approver.notes.extend(inbox.subjects)
    bought = runs(only_if_below=120, approvers=[{"id": "7", "name": "Ada"}]).run()

    assert bought.state == "success"
    assert approver.notes == [NEEDED]
    assert [subject.split(" ")[:2] for subject in inbox.subjects[1:]] == [["Please", "pay"], ["Paid:", "50"]]
    mail = inbox.html(0)
    for part in (
        "120 credits are needed.",
        "allows 100 USD, so 100 USD are left before this purchase",
        "You are asked because this task asks before each purchase (approval=True).",
        "Only these users may respond: 7.",
        "Respond by",
        bought.run.dag_run.run_id,
        f"/tasks/{TASK}/required_actions",
        "Approve or refuse",
    ):
        assert part in mail


def test_other_notifier_is_not_asked_to_pay_before_the_approval(
    approver: Approver, person: Person, inbox: Inbox
) -> None:
    old = Notifier()
    approver.before_response = lambda: approver.notes.append(list(old.told))
    runs(notifiers=[old, by_mail()]).run()

    assert approver.notes == [[]]
    assert old.told == person.links
    assert inbox.subjects[0] == NEEDED


@pytest.mark.parametrize(
    ("death", "mails"),
    [
        # Shown and recorded, and nobody told.
        (Point("operators._messages.PaymentMessages", "approval_needed"), 1),
        # Told and not recorded: told again.
        (Point(JOURNAL, "save_approval", nth=3), 2),
        (Point(JOURNAL, "save_approval", nth=3, after=True), 1),
        (Point(DESK, "park"), 1),
        (Point(DESK, "record"), 1),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value.method}-{value.after}",
)
def test_death_loses_no_message(
    approver: Approver, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, *, death: Point, mails: int
) -> None:
    met = death.breaks(Died(), monkeypatch)
    bought = runs(retries=2).run()

    assert met
    assert (bought.state, bought.tries) == ("success", 2)
    assert inbox.subjects.count(NEEDED) == mails
    assert len(approver.seen) == 1


def test_failing_notifier_stops_nothing_else(approver: Approver, inbox: Inbox) -> None:
    unknown = PaymentRequestNotifier(SmtpNotifier(to="payer@example.com", smtp_conn_id="missing"))
    bought = runs(notifiers=[unknown, by_mail()]).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert inbox.subjects[0] == NEEDED


def test_unrecorded_message_does_not_stop_the_question(
    approver: Approver, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError

    unkept = VideoDBRecordNotKeptError("Airflow did not keep it.")
    met = Point(JOURNAL, "save_approval", nth=3).breaks(unkept, monkeypatch)
    bought = runs().run()

    assert met
    assert (bought.state, bought.tries) == ("success", 1)


def test_refusal_is_announced_once(approver: Approver, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # The worker dies once the refusal is recorded, so a retry finds it.
    approver.choose = lambda options: options[1:]
    met = Point(JOURNAL, "save_approval", after=True, nth=4).breaks(Died(), monkeypatch)
    bought = runs(retries=3).run()

    assert met
    assert (bought.state, bought.tries) == ("failed", 2)
    assert inbox.subjects == [NEEDED, NOT_BOUGHT]
    assert "Ada (id 7) refused to buy credits for 50 USD" in inbox.html(1)
    assert "Next step: clear this task" in inbox.html(1)
    assert "Approve or refuse" not in inbox.html(1)


def test_missing_response_is_announced(approver: Approver, inbox: Inbox) -> None:
    approver.choose = lambda _: None
    runs(retries=2).run()

    assert inbox.subjects == [NEEDED, NOT_BOUGHT]
    assert "Nobody approved 50 USD" in inbox.html(1)


def test_approval_that_became_too_small_is_announced(approver: Approver, emulator: Emulator, inbox: Inbox) -> None:
    emulator.set_balance(70)
    approver.before_response = lambda: emulator.set_balance(40)
    PurchaseRuns("EnsureCreditsOperator", credits=120, approval=True, notifiers=[by_mail()], retries=2).run()

    assert inbox.subjects == [NEEDED, NOT_BOUGHT]
    assert "now needs 80 USD, and its approval request says 50 USD" in inbox.html(1)


def test_clear_after_a_refusal_asks_people_again(approver: Approver, inbox: Inbox) -> None:
    approver.choose = lambda options: options[1:]
    made = runs()
    refused = made.run()
    approver.choose = lambda options: options[:1]
    cleared(refused)
    made.clear(refused)

    assert inbox.subjects[:3] == [NEEDED, NOT_BOUGHT, NEEDED]


def test_approved_purchase_that_is_not_paid_is_no_refusal(approver: Approver, person: Person, inbox: Inbox) -> None:
    person.while_waiting = lambda: None
    bought = runs(payment_timeout=2).run()

    assert bought.state == "failed"
    assert [subject.split(" ")[0] for subject in inbox.subjects] == ["Please", "Please", "Not"]
    assert inbox.subjects[2].startswith("Not paid:")
    assert journal_of(bought)["notified"] == ["0:SmtpNotifier", "0:SmtpNotifier:failed"]
