"""EnsureCreditsOperator waits until the balance suffices."""

from __future__ import annotations

import inspect
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCreditsMissingError,
    VideoDBPaymentTimeoutError,
)
from tests.support.purchases import LIST, TASK, TOPUP, PurchaseRuns, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


#: The balance must show a payment within this time, so that a test ends.
ensuring = partial(PurchaseRuns, "EnsureCreditsOperator", settle_timeout=5)


def dollars(emulator: Emulator) -> list[int]:
    return [json.loads(call.body)["amount"] for call in emulator.calls("POST", TOPUP, accepted=True)]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
class TestWait:
    def test_wait_ends_with_the_payment_in_the_balance(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        emulator.change_settings(usage_lag=0.5)
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("completed", 53)
        assert dollars(emulator) == [50]

    def test_payment_that_does_not_show_fails_the_task(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        emulator.change_settings(usage_lag=3600)
        purchasing = ensuring(credits=53, deferrable=deferrable, settle_timeout=0.2, retries=1)
        bought = purchasing.run()

        assert (bought.state, bought.tries) == ("failed", 2)
        assert bought.run.result(TASK, "_link_CheckoutLink") == ""
        for error in bought.errors:
            assert isinstance(error, VideoDBCreditsMissingError)
            assert "3 of 53 credits" in str(error)
            assert "a retry buys nothing more" in str(error)
        assert dollars(emulator) == [50]

        emulator.advance(3600)
        assert purchasing.clear(bought).result["status"] == "completed"
        assert dollars(emulator) == [50]

    def test_account_filled_by_others_ends_the_wait(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str], *, deferrable: bool
    ) -> None:
        person.while_waiting = lambda: emulator.set_balance(100)
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("pending", 100)
        assert bought.result["payment_url"] == person.links[0]
        assert bought.run.result(TASK, "_link_CheckoutLink") == ""
        assert "because VideoDB cannot cancel one:" in capsys.readouterr().out

    def test_filled_account_outweighs_an_expired_checkout(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str], *, deferrable: bool
    ) -> None:
        def expires_and_fills() -> None:
            person.expires()
            emulator.set_balance(100)

        person.while_waiting = expires_and_fills
        assert ensuring(credits=53, deferrable=deferrable).run().state == "success"
        assert "expired unpaid" in capsys.readouterr().out

    def test_filled_account_does_not_need_the_list(
        self, person: Person, emulator: Emulator, connect: Callable[..., None], *, deferrable: bool
    ) -> None:
        def fills_and_breaks() -> None:
            emulator.set_balance(100)
            emulator.add_fault("status", method="GET", path=LIST, times=None)

        connect(max_retries=0)
        person.while_waiting = fills_and_breaks
        assert ensuring(credits=53, deferrable=deferrable).run().result["balance_after"] == 100

    def test_wait_without_topup_ends_with_a_filled_account(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        person.while_waiting = lambda: emulator.set_balance(60)
        bought = ensuring(credits=53, topup=False, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("filled", 60)
        assert dollars(emulator) == []

    def test_wait_without_topup_ends_at_its_timeout(
        self, person: Person, emulator: Emulator, *, deferrable: bool
    ) -> None:
        bought = ensuring(credits=53, topup=False, payment_timeout=0.2, deferrable=deferrable).run()

        [error] = bought.errors
        assert isinstance(error, VideoDBCreditsMissingError)
        assert "3 of 53 credits" in str(error)
        assert dollars(emulator) == []

    def test_expired_checkout_ends_the_wait(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(person.expires, person.pays)
        bought = ensuring(credits=53, deferrable=deferrable, retries=1).run()

        assert isinstance(bought.errors[0], VideoDBCheckoutExpiredError)
        assert (bought.state, bought.tries) == ("success", 2)
        assert dollars(emulator) == [50, 50]
        assert person.most_payable == 1

    def test_retry_waits_for_the_same_link(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(lambda: None, person.pays)
        bought = ensuring(credits=53, payment_timeout=1, deferrable=deferrable, retries=1).run()

        assert isinstance(bought.errors[0], VideoDBPaymentTimeoutError)
        assert person.links[0] in str(bought.errors[0])
        assert (bought.state, bought.tries) == ("success", 2)
        assert dollars(emulator) == [50]

    def test_credits_spent_meanwhile_start_another_wait(
        self, person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, *, deferrable: bool
    ) -> None:
        from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun

        resume, spent = EnsureCreditsRun.resume, in_turn(lambda: emulator.charge(10))

        def resumed(self: EnsureCreditsRun, event: object) -> Any:
            spent()
            return resume(self, event)

        monkeypatch.setattr(EnsureCreditsRun, "resume", resumed)
        person.while_waiting = in_turn(person.pays, lambda: emulator.set_balance(70))
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("completed", 70)
        assert dollars(emulator) == [50]

    def test_charged_card_is_waited_for(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        emulator.change_settings(charge_stored_card=True, usage_lag=0.3)
        bought = ensuring(credits=53, deferrable=deferrable).run()

        assert (bought.result["status"], bought.result["balance_after"]) == ("completed", 53)
        assert person.links == []
        assert dollars(emulator) == [50]


def test_long_wait_in_a_worker_does_not_grow_the_stack(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the balance suffices, it is spent before the worker reads it. So the worker waits again."""
    from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun

    depths: list[int] = []
    resume = EnsureCreditsRun.resume
    spend = in_turn(*[lambda: emulator.set_balance(3)] * 3)

    def resumed(self: EnsureCreditsRun, event: object) -> Any:
        spend()
        return resume(self, event)

    def somebody_fills() -> None:
        depths.append(len(inspect.stack()))
        emulator.set_balance(60)

    monkeypatch.setattr(EnsureCreditsRun, "resume", resumed)
    person.while_waiting = somebody_fills
    assert ensuring(credits=53, topup=False, deferrable=False).run().state == "success"

    assert len(depths) == 4
    assert len(set(depths)) == 1


def test_wait_for_paid_credits_logs_its_end(
    person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.change_settings(usage_lag=3600)
    person.while_waiting = in_turn(person.pays, lambda: emulator.advance(3600))
    assert ensuring(credits=53).run().state == "success"

    said = capsys.readouterr().out
    assert "50 USD are paid, and the task buys nothing more." in said
    assert "It waits until 20" in said
