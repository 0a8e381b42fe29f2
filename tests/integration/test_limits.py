"""Spending limits, told to a real `dag.test()` against the emulator: they hold, and they say who can raise them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.purchases.executor import Clock
from tests.support.purchases import TASK, TOPUP, Point, Shopping, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Bought, Person

WHO = {
    "max_topup_amount": "ask the owner of the connection to raise max_topup_amount",
    "monthly_topup_limit": "ask the owner of the connection to raise monthly_topup_limit",
    "max_amount": "ask the author of the DAG to raise max_amount",
}


@pytest.fixture
def other_buyer(emulator: Emulator) -> BillingClient:
    return BillingClient(emulator.api_key, base_url=emulator.base_url)


def assert_refused(bought: Bought, limit: str) -> None:
    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, VideoDBLimitExceededError)
    assert f"({limit})" in str(bought.cause)
    assert ("connection videodb_default" in str(bought.cause)) is (limit != "max_amount")
    assert WHO[limit] in str(bought.cause)
    assert not bought.run.result(TASK, "payment_url")


@pytest.mark.parametrize(
    ("extra", "max_amount", "limit"),
    [
        ({"max_topup_amount": 49}, None, "max_topup_amount"),
        ({"max_topup_amount": "49.99"}, None, "max_topup_amount"),
        ({"max_topup_amount": 0}, None, "max_topup_amount"),
        ({}, 49, "max_amount"),
        ({}, "{{ 49 }}", "max_amount"),
        ({"max_topup_amount": 100}, 40, "max_amount"),
        ({"max_topup_amount": 40}, 100, "max_topup_amount"),
        ({"monthly_topup_limit": 49}, None, "monthly_topup_limit"),
        ({"monthly_topup_limit": 49}, 100, "monthly_topup_limit"),
    ],
    ids=str,
)
def test_what_is_over_a_limit_is_not_asked_for(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    *,
    extra: dict[str, Any],
    max_amount: Any,
    limit: str,
) -> None:
    connect(**extra)
    guard = {} if max_amount is None else {"max_amount": max_amount}
    assert_refused(Shopping(amount=50, retries=2, **guard).run(), limit)

    assert emulator.calls("POST") == []


def test_what_is_just_within_every_limit_is_bought(person: Person, connect: Callable[..., None]) -> None:
    connect(max_topup_amount=50, monthly_topup_limit=50)

    assert Shopping(amount=50, max_amount="50").run().state == "success"


class TestTheMonth:
    @pytest.fixture(autouse=True)
    def bought_before(
        self, person: Person, emulator: Emulator, other_buyer: BillingClient, connect: Callable[..., None]
    ) -> None:
        """30 dollars are paid, 20 can still be paid, 40 have expired."""
        paid, _pending, expired = (other_buyer.topup(amount) for amount in (30, 20, 40))
        emulator.pay(str(paid.id))
        emulator.expire(str(expired.id))
        emulator.clear_calls()
        connect(monthly_topup_limit=100)

    def test_counts_what_is_paid_and_what_can_still_be(self, emulator: Emulator) -> None:
        refused = Shopping(amount=51, retries=2).run()

        assert_refused(refused, "monthly_topup_limit")
        assert "51 USD more would make 101 USD this month" in str(refused.cause)
        assert "50 USD in 2 checkouts count already" in str(refused.cause)
        assert emulator.calls("POST") == []

    def test_does_not_count_what_has_expired(self) -> None:
        assert Shopping(amount=50).run().state == "success"

    def test_counts_what_is_called_expired_before_its_time(
        self, emulator: Emulator, other_buyer: BillingClient
    ) -> None:
        payable = other_buyer.topup(1)
        emulator.show_checkout_as(str(payable.id), status="expired")
        emulator.clear_calls()

        assert_refused(Shopping(amount=50, retries=2).run(), "monthly_topup_limit")
        assert emulator.calls("POST") == []

    def test_begins_anew_with_the_calendar_month(self, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
        now = Clock.now
        monkeypatch.setattr(Clock, "now", lambda self: now(self) + timedelta(days=32))
        emulator.advance(timedelta(days=32).total_seconds())

        assert Shopping(amount=100).run().state == "success"

    def test_does_not_stop_a_retry_for_its_own_checkout(self, person: Person, emulator: Emulator) -> None:
        person.while_waiting = in_turn(lambda: None, person.pays)
        bought = Shopping(amount=50, payment_timeout=0.3, retries=1).run()

        assert (bought.state, bought.tries) == ("success", 2)
        assert len(emulator.calls("POST", TOPUP)) == 1

    def test_counts_the_orphan_of_a_lost_answer(self, emulator: Emulator) -> None:
        """Nobody has its link, but a card may still be charged for it."""
        emulator.add_fault("drop_after", method="POST", path=TOPUP)
        assert_refused(Shopping(amount=50, retries=2).run(), "monthly_topup_limit")

        assert len(emulator.calls("POST", TOPUP)) == 1


@pytest.fixture
def somebody_is_first(
    person: Person,
    emulator: Emulator,
    other_buyer: BillingClient,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let somebody else ask for 20 dollars between a check and its POST; with ours that is over the limit."""
    connect(monthly_topup_limit=60)
    topup = BillingClient.topup

    def buys_first() -> None:
        topup(other_buyer, 20)
        # The list tells whole seconds apart.
        emulator.advance(1)

    first = in_turn(buys_first)

    def comes_second(self: BillingClient, amount: int, **kwargs: Any) -> Any:
        first()
        return topup(self, amount, **kwargs)

    monkeypatch.setattr(BillingClient, "topup", comes_second)


@pytest.mark.usefixtures("somebody_is_first")
@pytest.mark.parametrize("server", [{}, {"list_lag": 0.12}], ids=str)
class TestTwoThatPassTheCheckAtTheSameInstant:
    @pytest.fixture
    def shopping(self, emulator: Emulator, server: dict[str, Any]) -> Shopping:
        emulator.change_settings(**server)
        return Shopping(amount=50, retries=2)

    def test_the_later_one_withholds_its_link(self, shopping: Shopping, person: Person, emulator: Emulator) -> None:
        refused = shopping.run()

        assert_refused(refused, "monthly_topup_limit")
        own = emulator.checkouts()[0]
        assert own.amount == 50
        assert f"Checkout {own.id}" in str(refused.cause)
        assert "withheld" in str(refused.cause)
        assert emulator.payment_url(own.id) not in str(refused.cause)
        assert person.links == []

    def test_a_clear_does_not_hand_it_out_either(self, shopping: Shopping, person: Person, emulator: Emulator) -> None:
        again = shopping.clear(shopping.run())

        assert again.state == "failed"
        assert person.links == []
        assert len(emulator.checkouts()) == 2

    def test_a_clear_hands_it_out_once_the_limit_is_raised(
        self, shopping: Shopping, person: Person, emulator: Emulator, connect: Callable[..., None]
    ) -> None:
        refused = shopping.run()
        connect(monthly_topup_limit=70)
        again = shopping.clear(refused)

        assert again.state == "success"
        assert person.links == [emulator.payment_url(emulator.checkouts()[0].id)]
        assert len(emulator.checkouts()) == 2


@pytest.mark.parametrize("currency", ["eur", "JPY"])
@pytest.mark.parametrize("operator", [{"amount": 50}, {"operator": "EnsureCreditsOperator", "credits": 53}], ids=str)
@pytest.mark.parametrize("limit", ["max_topup_amount", "monthly_topup_limit", "max_amount"])
def test_another_currency_is_not_asked_for_under_a_limit(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    operator: dict[str, Any],
    limit: str,
    currency: str,
) -> None:
    connect(**{} if limit == "max_amount" else {limit: 9999})
    limits = {"max_amount": 9999} if limit == "max_amount" else {}
    refused = Shopping(**operator, **limits, currency=currency, retries=2).run()

    assert (refused.state, refused.tries) == ("failed", 1)
    assert isinstance(refused.cause, VideoDBLimitExceededError)
    assert f"50 {currency.upper()} cannot be compared with a limit in USD" in str(refused.cause)
    assert emulator.calls("POST") == []


@pytest.fixture
def while_the_link_is_not_out(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return what does something once, right after the POST was answered, and then lets the task die."""

    def after_post(happening: Callable[[], object]) -> None:
        Point("purchases.claims.VariableClaims", "claim").breaks(ConnectionError(), monkeypatch)
        topup = BillingClient.topup
        once = in_turn(happening)

        def topup_and_more(self: BillingClient, amount: int, **kwargs: Any) -> Any:
            checkout = topup(self, amount, **kwargs)
            once()
            return checkout

        monkeypatch.setattr(BillingClient, "topup", topup_and_more)

    return after_post


@pytest.mark.parametrize("limit", ["max_topup_amount", "monthly_topup_limit"])
def test_a_limit_that_is_lowered_before_the_link_is_out_withholds_it(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    while_the_link_is_not_out: Callable[[Callable[[], object]], None],
    limit: str,
) -> None:
    connect(**{limit: 50})
    while_the_link_is_not_out(lambda: connect(**{limit: 49}))
    shopping = Shopping(amount=50, retries=2)
    refused = shopping.run()

    assert (refused.state, refused.tries) == ("failed", 2)
    assert "its link is withheld" in str(refused.cause)
    assert person.links == []

    connect(**{limit: 50})
    assert shopping.clear(refused).state == "success"
    assert len(person.links) == len(emulator.checkouts()) == 1


@pytest.mark.parametrize("limit", ["max_topup_amount", "monthly_topup_limit"])
def test_a_limit_that_is_lowered_while_a_person_has_the_link_does_not_take_it_back(
    person: Person, emulator: Emulator, connect: Callable[..., None], limit: str
) -> None:
    connect(**{limit: 50})
    person.while_waiting = in_turn(lambda: connect(**{limit: 49}), person.pays)
    bought = Shopping(amount=50, payment_timeout=0.3, retries=1).run()

    assert (bought.state, bought.tries) == ("success", 2)
    assert len(emulator.checkouts()) == 1


@pytest.mark.usefixtures("somebody_is_first")
def test_a_withheld_link_is_no_result_either(person: Person, emulator: Emulator) -> None:
    shopping = Shopping("EnsureCreditsOperator", credits=53)
    refused = shopping.run()
    assert_refused(refused, "monthly_topup_limit")
    emulator.set_balance(60)
    again = shopping.clear(refused)

    assert (again.state, again.result["balance_after"], again.result["payment_url"]) == ("success", 60, None)
    assert not again.run.result(TASK, "payment_url")


def test_the_earlier_of_two_hands_out_its_link(
    person: Person, emulator: Emulator, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monthly_topup_limit=60)
    topup = BillingClient.topup

    def comes_late() -> None:
        emulator.advance(1)
        topup(BillingClient(emulator.api_key, base_url=emulator.base_url), 20)

    second = in_turn(comes_late)

    def comes_first(self: BillingClient, amount: int, **kwargs: Any) -> Any:
        checkout = topup(self, amount, **kwargs)
        second()
        return checkout

    monkeypatch.setattr(BillingClient, "topup", comes_first)
    assert Shopping(amount=50).run().state == "success"


@pytest.mark.usefixtures("somebody_is_first")
def test_a_retry_after_a_death_checks_the_month_before_it_hands_out_the_link(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    Point("purchases.claims.VariableClaims", "claim").breaks(ConnectionError(), monkeypatch)
    bought = Shopping(amount=50, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 2)
    assert isinstance(bought.cause, VideoDBLimitExceededError)
    assert person.links == []
