"""Notifiers of a TopupOperator are called once for each link."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.support.orders import Notifier
from tests.support.purchases import (
    TASK,
    Died,
    Point,
    PurchaseRuns,
    in_turn,
    journal_of,
)

if TYPE_CHECKING:
    import pytest

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


def test_notifier_is_called_once_over_several_tries(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    Point("operators._purchasing.PurchasingOperator", "wait").breaks(Died(), monkeypatch)
    notifier = Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[notifier], retries=1).run()

    assert bought.tries == 2
    assert notifier.told == person.links
    assert len(person.links) == 1


def test_notifier_is_called_for_each_new_link(person: Person, emulator: Emulator) -> None:
    person.while_waiting = in_turn(person.expires, person.pays)
    notifier = Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[notifier], retries=1).run()

    assert bought.state == "success"
    assert notifier.told == person.links
    assert len(person.links) == 2


def test_failing_notifier_leaves_the_task_and_the_next_one(person: Person) -> None:
    broken, working = Notifier(lambda: RuntimeError("no such channel")), Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[broken, working]).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert broken.told == working.told == person.links


def test_notifier_that_hangs_holds_no_worker(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.operators._notifier_call.LONGEST_CALL", 0.2)
    order, gone_on = [], Event()

    def hang() -> Exception | None:
        order.append("let go" if gone_on.wait(20) else "held the worker")
        return None

    def go_on() -> None:
        gone_on.set()
        person.pays()

    person.while_waiting = go_on
    hanging, working = Notifier(hang), Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[hanging, working]).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert order == ["let go"]
    assert working.told == person.links
    assert journal_of(bought)["notified"] == ["1:Notifier"]


def test_notifier_that_exits_leaves_the_task(person: Person) -> None:
    exiting, working = Notifier(lambda: SystemExit(1)), Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[exiting, working]).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert exiting.told == working.told == person.links


def test_notifier_template_knows_the_link(person: Person, tmp_path: Any) -> None:
    from airflow.sdk import BaseNotifier

    class Mail(BaseNotifier):
        template_fields = ("text",)

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

        def notify(self, context: Any) -> None:
            (tmp_path / "mail").write_text(self.text)

    PurchaseRuns(amount=50, notifiers=[Mail("Pay {{ task.payment_url }} for {{ dag.dag_id }}")]).run()

    assert (tmp_path / "mail").read_text() == f"Pay {person.links[0]} for purchasing"


def test_failed_notifier_is_called_again_on_retry(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One notifier fails twice. The other one succeeds at the first try and is not called again."""
    Point("operators._purchasing.PurchasingOperator", "wait").breaks(Died(), monkeypatch)
    person.while_waiting = in_turn(lambda: None, person.pays)
    errors = iter([RuntimeError("no such channel"), RuntimeError("gone"), None])
    broken, working = Notifier(lambda: next(errors)), Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[broken, working], payment_timeout=1, retries=3).run()

    assert (bought.state, bought.tries) == ("success", 3)
    assert broken.told == person.links * 3
    assert working.told == person.links


def test_notifier_template_knows_the_whole_payment(person: Person, emulator: Emulator, tmp_path: Any) -> None:
    from airflow.sdk import BaseNotifier

    class Mail(BaseNotifier):
        template_fields = ("text",)

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

        def notify(self, context: Any) -> None:
            (tmp_path / "mail").write_text(self.text)

    fields = ("url", "amount", "currency", "checkout_id", "credits_missing", "expires_at", "run_url")
    text = "\n".join(f"{{{{ task.payment.{name} }}}}" for name in fields)
    bought = PurchaseRuns(amount=50, only_if_below=12.5, currency="usd", notifiers=[Mail(text)]).run()

    told = dict(zip(fields, (tmp_path / "mail").read_text().splitlines(), strict=True))
    [checkout] = emulator.checkouts()
    assert (told["url"], told["amount"], told["currency"]) == (person.links[0], "50", "usd")
    assert (told["checkout_id"], told["credits_missing"]) == (checkout.id, "9.5")
    expires_at = datetime.fromisoformat(told["expires_at"])
    assert abs(expires_at - checkout.expires_at) < timedelta(seconds=5)
    assert f"/dags/purchasing/runs/{quote(bought.run.dag_run.run_id)}/tasks/{TASK}" in told["run_url"]
