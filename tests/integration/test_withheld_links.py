"""
Withhold the link of a checkout that is over a limit by now.

Two tasks can pass the check of the monthly limit at the same time, and a person can lower a limit meanwhile. The task
therefore checks the limits again between the POST and the link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from tests.integration.test_limits import assert_refused
from tests.support.purchases import BEFORE_THE_WAIT, TASK, Died, Point, PurchaseRuns, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


@pytest.fixture
def other_buyer_is_first(
    person: Person,
    emulator: Emulator,
    other_client: BillingClient,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let another buyer make a checkout of 20 USD between our check and our POST."""
    connect(monthly_topup_limit=60)
    topup = BillingClient.topup

    def buys_first() -> None:
        topup(other_client, 20)
        # The dates of the list have whole seconds.
        emulator.advance(1)

    first = in_turn(buys_first)

    def comes_second(self: BillingClient, amount: int, **kwargs: Any) -> Any:
        first()
        return topup(self, amount, **kwargs)

    monkeypatch.setattr(BillingClient, "topup", comes_second)


@pytest.mark.usefixtures("other_buyer_is_first")
@pytest.mark.parametrize("server", [{}, {"list_lag": 0.12}], ids=str)
class TestTwoBuyersAtOnce:
    @pytest.fixture
    def purchasing(self, emulator: Emulator, server: dict[str, Any]) -> PurchaseRuns:
        emulator.change_settings(**server)
        return PurchaseRuns(amount=50, retries=2)

    def test_later_buyer_withholds_its_link(self, purchasing: PurchaseRuns, person: Person, emulator: Emulator) -> None:
        refused = purchasing.run()

        assert_refused(refused, "monthly_topup_limit")
        own = emulator.checkouts()[0]
        assert own.amount == 50
        assert f"Checkout {own.id}" in str(refused.cause)
        assert "withheld" in str(refused.cause)
        assert emulator.payment_url(own.id) not in str(refused.cause)
        assert person.links == []

    def test_clear_withholds_it_again(self, purchasing: PurchaseRuns, person: Person, emulator: Emulator) -> None:
        again = purchasing.clear(purchasing.run())

        assert again.state == "failed"
        assert person.links == []
        assert len(emulator.checkouts()) == 2

    def test_clear_shows_it_once_the_limit_is_raised(
        self, purchasing: PurchaseRuns, person: Person, emulator: Emulator, connect: Callable[..., None]
    ) -> None:
        refused = purchasing.run()
        connect(monthly_topup_limit=70)
        again = purchasing.clear(refused)

        assert again.state == "success"
        assert person.links == [emulator.payment_url(emulator.checkouts()[0].id)]
        assert len(emulator.checkouts()) == 2


@pytest.fixture
def before_the_link(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return a function that acts once after the POST and fails the task."""

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
def test_limit_lowered_before_the_link_is_out_withholds_it(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    before_the_link: Callable[[Callable[[], object]], None],
    limit: str,
) -> None:
    connect(**{limit: 50})
    before_the_link(lambda: connect(**{limit: 49}))
    purchasing = PurchaseRuns(amount=50, retries=2)
    refused = purchasing.run()

    assert (refused.state, refused.tries) == ("failed", 2)
    assert "its link is withheld" in str(refused.cause)
    assert person.links == []

    connect(**{limit: 50})
    assert purchasing.clear(refused).state == "success"
    assert len(person.links) == len(emulator.checkouts()) == 1


@pytest.mark.parametrize("limit", ["max_topup_amount", "monthly_topup_limit"])
def test_limit_lowered_after_the_link_is_out_changes_nothing(
    person: Person, emulator: Emulator, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    connect(**{limit: 50})
    person.on_sight = lambda: connect(**{limit: 49})
    BEFORE_THE_WAIT.breaks(Died(), monkeypatch)
    bought = PurchaseRuns(amount=50, retries=1).run()

    assert (bought.state, bought.tries) == ("success", 2)
    assert len(emulator.checkouts()) == 1


@pytest.mark.usefixtures("other_buyer_is_first")
def test_withheld_link_is_not_in_the_result(person: Person, emulator: Emulator) -> None:
    purchasing = PurchaseRuns("EnsureCreditsOperator", credits=53)
    refused = purchasing.run()
    assert_refused(refused, "monthly_topup_limit")
    emulator.set_balance(60)
    again = purchasing.clear(refused)

    assert (again.state, again.result["balance_after"], again.result["payment_url"]) == ("success", 60, None)
    assert not again.run.result(TASK, "payment_url")


def test_earlier_buyer_shows_its_link(
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
    assert PurchaseRuns(amount=50).run().state == "success"


@pytest.mark.usefixtures("other_buyer_is_first")
def test_retry_checks_the_month_before_it_shows_the_link(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    Point("purchases.claims.VariableClaims", "claim").breaks(ConnectionError(), monkeypatch)
    bought = PurchaseRuns(amount=50, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 2)
    assert isinstance(bought.cause, VideoDBLimitExceededError)
    assert person.links == []
