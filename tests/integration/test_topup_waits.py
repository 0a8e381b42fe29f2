"""A waiting TopupOperator ends with a payment, an error or a kill."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBPaymentTimeoutError,
)
from tests.support.orders import Notifier, posted
from tests.support.purchases import (
    LIST,
    TASK,
    PurchaseRuns,
    id_of,
    in_turn,
    journal_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


def test_failed_wait_logs_what_is_still_payable(
    person: Person, emulator: Emulator, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(max_retries=0)
    person.while_waiting = lambda: emulator.add_fault("status", method="GET", path=LIST, times=None)
    bought = PurchaseRuns(amount=50).run()

    assert bought.state == "failed"
    told = capsys.readouterr().out
    assert f"Checkout {id_of(person.links[0])} for 50 USD may still be paid." in told
    assert "A new DAG run would buy again." in told


def test_template_that_broke_during_the_wait_hides_no_payment(person: Person, emulator: Emulator) -> None:
    from airflow.models.variable import Variable

    def pays_and_deletes() -> None:
        person.pays()
        Variable.delete("usd")

    Variable.set("usd", "50")
    person.while_waiting = pays_and_deletes
    bought = PurchaseRuns(amount="{{ var.value.get('usd', '') }}").run()

    assert (bought.state, bought.result["status"]) == ("success", "completed")
    assert len(posted(emulator)) == 1


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
class TestFailingWait:
    def test_expired_checkout_fails_the_task(self, person: Person, *, deferrable: bool) -> None:
        person.while_waiting = person.expires
        bought = PurchaseRuns(amount=50, deferrable=deferrable).run()

        assert bought.state == "failed"
        [error] = bought.errors
        assert isinstance(error, VideoDBCheckoutExpiredError)
        assert "new link" in str(error)
        assert bought.run.result(TASK, "_link_CheckoutLink") == ""

    def test_unpaid_checkout_fails_the_task(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = lambda: None
        bought = PurchaseRuns(amount=50, payment_timeout=timedelta(seconds=0.2), deferrable=deferrable).run()

        [error] = bought.errors
        assert isinstance(error, VideoDBPaymentTimeoutError)
        assert person.links[0] in str(error)
        assert "within 0.2 s (payment_timeout)" in str(error)

    def test_vanished_checkout_fails_the_task(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = emulator.reset
        bought = PurchaseRuns(amount=50, deferrable=deferrable).run()

        [error] = bought.errors
        assert isinstance(error, VideoDBCheckoutMissingError)
        assert person.links[0] in str(error)

    def test_retry_waits_for_the_same_checkout(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(lambda: None, person.pays)
        notifier = Notifier()
        bought = PurchaseRuns(
            amount=50, payment_timeout=1, deferrable=deferrable, retries=2, notifiers=[notifier]
        ).run()

        assert (bought.state, bought.tries) == ("success", 2)
        assert len(posted(emulator)) == len(person.links) == len(notifier.told) == 1

    def test_retry_replaces_an_expired_checkout(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(person.expires, person.pays)
        bought = PurchaseRuns(amount=50, deferrable=deferrable, retries=2).run()

        assert (bought.state, bought.tries) == ("success", 2)
        assert sorted(checkout.status for checkout in emulator.checkouts()) == ["completed", "expired"]
        assert bought.result["payment_url"] == person.links[-1]

    def test_failures_of_the_list_do_not_end_the_wait(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        def fails_for_a_while() -> None:
            emulator.add_fault("status", method="GET", path=LIST, times=4)
            person.pays()

        person.while_waiting = fails_for_a_while
        assert PurchaseRuns(amount=50, deferrable=deferrable).run().state == "success"


def test_another_triggerer_takes_over_a_wait(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_videodb.triggers.checkout import CheckoutTrigger

    run_to_the_end, waits = CheckoutTrigger.run, []

    async def run_twice(self: CheckoutTrigger) -> Any:
        if not waits:
            waits.append(self)
            died = asyncio.ensure_future(anext(run_to_the_end(self)))
            await asyncio.wait({died}, timeout=0)
            died.cancel()
            await asyncio.wait({died})
            assert died.cancelled()
            async for event in CheckoutTrigger(**self.serialize()[1]).run():
                yield event
        else:
            async for event in run_to_the_end(self):
                yield event

    monkeypatch.setattr(CheckoutTrigger, "run", run_twice)
    assert PurchaseRuns(amount=50).run().result["status"] == "completed"


WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 1}


def topup_trigger(purchase: dict[str, Any]) -> BaseTrigger:
    from airflow_provider_videodb.triggers.checkout import CheckoutTrigger

    return CheckoutTrigger(purchase=purchase, **WAIT)


def ensure_credits_trigger(purchase: dict[str, Any] | None) -> BaseTrigger:
    from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger

    return EnsureCreditsTrigger(threshold=53, wait={"purchase": purchase, "deadline": 1.5}, **WAIT)


class TestKill:
    """A user marks a waiting task as failed."""

    def test_killed_worker_logs_what_can_be_paid(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def kills() -> None:
            from airflow.sdk import get_current_context

            get_current_context()["task"].on_kill()
            person.pays()

        person.while_waiting = kills
        PurchaseRuns(amount=50, deferrable=False).run()

        assert f"can be paid until it expires, because VideoDB cannot cancel one: {person.links[0]}" in (
            capsys.readouterr().out
        )

    @pytest.mark.parametrize("trigger", [topup_trigger, ensure_credits_trigger])
    @pytest.mark.parametrize(
        ("meanwhile", "words"),
        [
            ("nothing", "can be paid until it expires, because VideoDB cannot cancel one: http"),
            ("pays", "was paid. Its credits are on the account"),
            ("expires", "expired unpaid, so it can no longer be paid"),
        ],
    )
    def test_killed_trigger_logs_what_can_be_paid(
        self,
        person: Person,
        capsys: pytest.CaptureFixture[str],
        *,
        trigger: Callable[[dict[str, Any]], BaseTrigger],
        meanwhile: str,
        words: str,
    ) -> None:
        purchase = journal_of(PurchaseRuns(amount=50, wait_for_payment=False).run())
        getattr(person, meanwhile, lambda: None)()
        asyncio.run(trigger(purchase).on_kill())

        assert words in capsys.readouterr().out

    def test_killed_wait_without_purchase_logs_no_payment(
        self, airflow_db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asyncio.run(ensure_credits_trigger(None).on_kill())

        assert "payable" not in capsys.readouterr().out

    def test_kill_before_the_link_logs_no_payment(self, airflow_db: None, capsys: pytest.CaptureFixture[str]) -> None:
        PurchaseRuns(amount=50).task.on_kill()

        assert "payable" not in capsys.readouterr().out
