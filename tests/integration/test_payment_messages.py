"""A PaymentRequestNotifier writes each message about a payment, and real servers receive it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.apprise.notifications.apprise import AppriseNotifier
from airflow.providers.slack.notifications.slack import SlackNotifier
from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from airflow_provider_videodb.purchases.rules import candidates
from tests.support import inbox as inboxes
from tests.support.inbox import open_inbox
from tests.support.orders import Notifier, posted
from tests.support.purchases import BEFORE_THE_WAIT, LIST, TASK, Died, PurchaseRuns, in_turn, journal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.inbox import Inbox
    from tests.support.purchases import Person

OFTEN = {"remind_every": 0.3}


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with open_inbox(monkeypatch) as opened:
        yield opened


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a checkout be old enough to expire at once."""
    monkeypatch.setattr(candidates, "CHECKOUT_LIFETIME", timedelta(0))


def by_mail(**fields: Any) -> PaymentRequestNotifier:
    return PaymentRequestNotifier(SmtpNotifier(to="payer@example.com", smtp_conn_id=inboxes.MAIL, **fields))


def test_mail_says_what_to_pay_and_then_that_it_is_paid(person: Person, inbox: Inbox) -> None:
    bought = PurchaseRuns(amount=50, only_if_below=12.5, notifiers=[by_mail()]).run()

    assert bought.state == "success"
    assert inbox.subjects == [
        "Please pay 50 USD for VideoDB credits (purchasing)",
        "Paid: 50 USD for VideoDB credits (purchasing)",
    ]
    [link] = person.links
    request, paid = inbox.html(0), inbox.html(1)
    assert f'href="{link}"' in request
    for fact in ("12.5", "9.5", "purchasing", bought.run.dag_run.run_id, TASK, "UTC", f"/tasks/{TASK}"):
        assert fact in request
    assert link not in paid
    assert "The pipeline continues." in paid
    assert inbox.mails[0]["to"] == "payer@example.com"


def test_reminders_come_until_the_payment(person: Person, emulator: Emulator, inbox: Inbox) -> None:
    person.while_waiting = in_turn(lambda: None, lambda: None, person.pays)
    old = Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[old, by_mail()], **OFTEN).run()

    assert (bought.state, bought.tries) == ("success", 1)
    kinds = [subject.split(" ")[0] for subject in inbox.subjects]
    assert kinds == ["Please", "Reminder:", "Reminder:", "Paid:"]
    # A notifier whose author wrote the text would ask for the payment again.
    assert old.told == person.links
    assert len(posted(emulator)) == 1
    assert journal_of(bought)["reminded_at"] is not None


@pytest.mark.parametrize("deferrable", [True, False])
def test_gate_reminds_and_says_that_the_balance_is_awaited(
    person: Person, emulator: Emulator, inbox: Inbox, deferrable: bool
) -> None:
    # The balance shows the payment once the task waits for it, however slow this machine is.
    emulator.change_settings(usage_lag=3600)
    person.while_waiting = in_turn(lambda: None, person.pays, lambda: emulator.advance(3600))
    bought = PurchaseRuns(
        "EnsureCreditsOperator", credits=53, notifiers=[by_mail()], deferrable=deferrable, **OFTEN
    ).run()

    assert (bought.state, bought.result["status"]) == ("success", "completed")
    assert [subject.split(" ")[0] for subject in inbox.subjects] == ["Please", "Reminder:", "Paid:"]
    reminder, paid = inbox.html(1), inbox.html(2)
    assert ">53</td>" in reminder
    assert ">50</td>" in reminder
    assert "as soon as VideoDB&#39;s balance shows the credits" in paid


def test_retry_reminds_neither_early_nor_twice(person: Person, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies after the reminder, before it waits again."""
    died = replace(BEFORE_THE_WAIT, nth=2).breaks(Died(), monkeypatch)
    person.while_waiting = in_turn(lambda: None, person.pays)
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], remind_every=3, retries=1).run()

    assert died
    assert (bought.state, bought.tries) == ("success", 2)
    assert [subject.split(" ")[0] for subject in inbox.subjects] == ["Please", "Reminder:", "Paid:"]


def test_clear_of_a_paid_task_says_nothing_again(person: Person, inbox: Inbox) -> None:
    runs = PurchaseRuns(amount=50, notifiers=[by_mail()])
    bought = runs.run()
    runs.clear(bought)

    assert len(inbox.mails) == 2


def test_expired_link_is_announced_with_what_to_do(person: Person, inbox: Inbox, short_lives: None) -> None:
    person.while_waiting = person.expires
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()]).run()

    assert bought.state == "failed"
    assert inbox.subjects[1:] == ["Expired: the link to pay 50 USD for VideoDB credits (purchasing)"]
    assert "Next step: clear the task in Airflow to get a new link." in inbox.html(1)
    assert person.links[0] not in inbox.html(1)


def test_new_link_replaces_an_expired_one(person: Person, inbox: Inbox, short_lives: None) -> None:
    person.while_waiting = in_turn(person.expires, person.pays)
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], retries=1).run()

    assert bought.state == "success"
    assert [subject.split(" ")[0] for subject in inbox.subjects] == ["Please", "Expired:", "Please", "Paid:"]
    assert "Airflow retries the task, which then sends a new link." in inbox.html(1)
    assert "An earlier link has expired." in inbox.html(2)


def test_failed_wait_is_announced_once_no_retry_follows(person: Person, inbox: Inbox) -> None:
    person.while_waiting = lambda: None
    runs = PurchaseRuns(amount=50, notifiers=[by_mail()], payment_timeout=1, retries=1)
    bought = runs.run()

    assert (bought.state, bought.tries) == ("failed", 2)
    assert [subject.split(" ")[0] for subject in inbox.subjects] == ["Please", "Not"]
    assert f'href="{person.links[0]}"' in inbox.html(1)
    assert "Next step: pay at the link below" in inbox.html(1)


def test_filled_account_needs_no_payment(person: Person, emulator: Emulator, inbox: Inbox) -> None:
    person.while_waiting = lambda: emulator.set_balance(60)
    bought = PurchaseRuns("EnsureCreditsOperator", credits=53, notifiers=[by_mail()]).run()

    assert (bought.state, bought.result["status"]) == ("success", "pending")
    assert inbox.subjects[1:] == ["No longer needed: 50 USD for VideoDB credits (purchasing)"]
    assert person.links[0] not in inbox.html(1)


def test_slack_gets_blocks_and_a_text(person: Person, inbox: Inbox) -> None:
    hook = SlackWebhookNotifier(slack_webhook_conn_id=inboxes.SLACK_HOOK, text="")
    app = SlackNotifier(slack_conn_id=inboxes.SLACK, channel="#billing", base_url=f"{inbox.web}/api/")
    PurchaseRuns(amount=50, notifiers=[PaymentRequestNotifier(hook), PaymentRequestNotifier(app)]).run()

    (hook_path, by_hook), (app_path, by_app), *paid = inbox.posts
    assert (hook_path, app_path) == ("/services/T0/B0/secret", "/api/chat.postMessage")
    assert by_hook["blocks"] == json.loads(by_app["blocks"])
    assert by_hook["blocks"][0]["text"]["text"] == "Please pay 50 USD for VideoDB credits"
    assert f"*<{person.links[0]}|Pay 50 USD>*" in by_hook["blocks"][1]["text"]["text"]
    assert f"<{person.links[0]}|Pay 50 USD>" in by_hook["text"]
    assert by_app["channel"] == "#billing"
    assert [body["text"].splitlines()[0] for _, body in paid] == ["*Paid: 50 USD for VideoDB credits*"] * 2


def test_apprise_gets_title_and_plain_text(person: Person, inbox: Inbox) -> None:
    notifier = AppriseNotifier(apprise_conn_id=inboxes.APPRISE, body="")
    PurchaseRuns(amount=50, notifiers=[PaymentRequestNotifier(notifier)]).run()

    (_, request), (_, paid) = inbox.posts
    assert request["title"] == "Please pay 50 USD for VideoDB credits (purchasing)"
    assert f"Pay 50 USD: {person.links[0]}" in request["message"]
    assert paid["title"] == "Paid: 50 USD for VideoDB credits (purchasing)"


def test_own_subject_and_templates_are_kept(person: Person, inbox: Inbox) -> None:
    mail = by_mail(subject="Credits for {{ dag.dag_id }}", cc="{{ task.task_id }}@example.com")
    PurchaseRuns(amount=50, notifiers=[mail]).run()

    assert inbox.subjects == ["Credits for purchasing"] * 2
    assert inbox.mails[0]["cc"] == "buy@example.com"


def test_unreachable_service_delays_no_purchase(person: Person, inbox: Inbox) -> None:
    inbox.is_down = True
    hook = PaymentRequestNotifier(SlackWebhookNotifier(slack_webhook_conn_id=inboxes.SLACK_HOOK, text=""))
    person.while_waiting = in_turn(lambda: None, person.pays)
    bought = PurchaseRuns(amount=50, notifiers=[by_mail(), hook], **OFTEN).run()

    assert (bought.state, bought.tries, bought.result["status"]) == ("success", 1, "completed")
    assert (inbox.mails, inbox.posts) == ([], [])


def test_reminder_is_left_out_while_videodb_does_not_say_whether_it_is_paid(
    person: Person, emulator: Emulator, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_videodb.operators._messages import PaymentMessages

    is_open = PaymentMessages._is_open

    def asks(self: PaymentMessages, purchase: Any) -> bool:
        fault = emulator.add_fault("status", method="GET", path=LIST, times=None, status=503)
        try:
            return is_open(self, purchase)
        finally:
            emulator.remove_fault(fault.id)
            person.pays()

    monkeypatch.setattr(PaymentMessages, "_is_open", asks)
    person.while_waiting = lambda: None
    bought = PurchaseRuns(amount=50, notifiers=[by_mail()], **OFTEN).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert [subject.split(" ")[0] for subject in inbox.subjects] == ["Please", "Paid:"]
