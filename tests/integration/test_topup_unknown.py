"""A TopupOperator stops if it cannot tell what it has bought."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBRecordUnreadableError,
)
from tests.support.orders import posted
from tests.support.purchases import (
    TOPUP,
    Died,
    Point,
    PurchaseRuns,
    id_of,
    in_turn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Bought, Person


@pytest.mark.parametrize("record", ["variables"], indirect=True)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_unreadable_variable_is_not_taken_for_a_missing_one(
    record: str, nth: int, person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.api.client import VariableOperations
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    emulator.change_settings(charge_stored_card=True)
    died = Point("api.client.BillingClient", "topup", after=True).breaks(Died(), monkeypatch)
    read, reads = VariableOperations.get, itertools.count(1)

    def get(self: VariableOperations, key: str) -> Any:
        if died and key.startswith("videodb_") and next(reads) == nth:
            return ErrorResponse(error=ErrorType.API_SERVER_ERROR)
        return read(self, key)

    monkeypatch.setattr(VariableOperations, "get", get)
    bought = PurchaseRuns(amount=50, retries=3).run()

    assert (bought.state, bought.tries) == ("success", 3)
    assert isinstance(bought.errors[-1], VideoDBRecordUnreadableError)
    assert [checkout.status for checkout in emulator.checkouts()] == ["completed"]


class TestUnknownOutcome:
    """The response is lost while somebody else buys for the same amount; a stored card is charged for both."""

    @pytest.fixture
    def purchasing(
        self, person: Person, emulator: Emulator, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> PurchaseRuns:
        emulator.change_settings(charge_stored_card=True)
        emulator.add_fault("drop_after", method="POST", path=TOPUP, skip=1)
        connect(max_retries=0)
        topup, others = BillingClient.topup, iter([True])

        def both(self: BillingClient, amount: int, **kwargs: Any) -> Any:
            if next(others, False):
                topup(self, amount)
            return topup(self, amount, **kwargs)

        monkeypatch.setattr(BillingClient, "topup", both)
        return PurchaseRuns(amount=50, retries=2)

    @pytest.fixture
    def stopped(self, purchasing: PurchaseRuns) -> Bought:
        return purchasing.run()

    def test_task_stops_and_lists_its_candidates(self, stopped: Bought, emulator: Emulator) -> None:
        assert (stopped.state, stopped.tries) == ("failed", 1)
        assert isinstance(stopped.cause, VideoDBPurchaseUnknownError)
        for checkout in emulator.checkouts():
            assert f"{checkout.id}: 50 USD, completed" in str(stopped.cause)
        assert f"airflow variables set {resolution_variable(stopped)} " in str(stopped.cause)

    def test_clear_without_resolution_stops_again(
        self, stopped: Bought, purchasing: PurchaseRuns, emulator: Emulator
    ) -> None:
        again = purchasing.clear(stopped)

        assert again.state == "failed"
        assert isinstance(again.cause, VideoDBPurchaseUnknownError)
        assert len(emulator.checkouts()) == 2

    def test_resolution_may_name_a_checkout(
        self, stopped: Bought, purchasing: PurchaseRuns, emulator: Emulator
    ) -> None:
        own = emulator.checkouts()[0]
        resolve(stopped, own.id)
        again = purchasing.clear(stopped)

        assert again.state == "success"
        assert (again.result["checkout_id"], again.result["status"]) == (own.id, "completed")
        assert len(emulator.checkouts()) == 2
        assert resolution_of(stopped) is None

    def test_resolution_may_be_to_buy(
        self, stopped: Bought, purchasing: PurchaseRuns, emulator: Emulator, person: Person
    ) -> None:
        emulator.change_settings(charge_stored_card=False)
        resolve(stopped, " buy ")
        again = purchasing.clear(stopped)

        assert again.state == "success"
        assert len(emulator.checkouts()) == 3
        assert again.result["payment_url"] == person.links[0]
        assert resolution_of(stopped) is None
        # A resolution is for one purchase.
        assert purchasing.clear(again).result["checkout_id"] == again.result["checkout_id"]

    def test_wrong_resolution_stops_again_and_stays(
        self, stopped: Bought, purchasing: PurchaseRuns, emulator: Emulator
    ) -> None:
        resolve(stopped, "cs_test_nowhere")
        again = purchasing.clear(stopped)

        assert again.state == "failed"
        assert isinstance(again.cause, VideoDBPurchaseUnknownError)
        assert "cs_test_nowhere" in str(again.cause)
        assert len(emulator.checkouts()) == 2
        assert resolution_of(stopped) == "cs_test_nowhere"


def resolution_variable(stopped: Bought) -> str:
    words = str(stopped.cause).split()
    return words[words.index("set") + 1]


def resolve(stopped: Bought, resolution: str) -> None:
    from airflow.models.variable import Variable

    Variable.set(resolution_variable(stopped), resolution)


def resolution_of(stopped: Bought) -> str | None:
    from airflow.models.variable import Variable

    resolution: str | None = Variable.get(resolution_variable(stopped), default_var=None)
    return resolution


def claim_for_another_task(checkout_id: str) -> None:
    from airflow.models.variable import Variable

    Variable.set(f"videodb_checkout__{checkout_id}", "another/task")


def test_checkout_of_another_task_is_not_shared(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    topup = BillingClient.topup

    def taken_at_once(self: BillingClient, amount: int, **kwargs: Any) -> Any:
        checkout = topup(self, amount, **kwargs)
        claim_for_another_task(str(checkout.id))
        return checkout

    monkeypatch.setattr(BillingClient, "topup", taken_at_once)
    bought = PurchaseRuns(amount=50, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, VideoDBPurchaseUnknownError)
    assert "Another task has claimed checkout" in str(bought.cause)
    assert person.links == []
    assert len(posted(emulator)) == 1


class TestPaidOrphan:
    """The response was lost, a second link was shared, and then the first checkout is paid."""

    @pytest.fixture
    def orphan_paid(self, person: Person, emulator: Emulator) -> Callable[[], None]:
        emulator.add_fault("drop_after", method="POST", path=TOPUP)

        def pays_the_orphan() -> None:
            [orphan] = (checkout for checkout in emulator.checkouts() if checkout.id != id_of(person.links[0]))
            emulator.pay(orphan.id)

        return pays_the_orphan

    def test_paid_orphan_ends_the_wait(
        self,
        person: Person,
        emulator: Emulator,
        orphan_paid: Callable[[], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        person.while_waiting = orphan_paid
        bought = PurchaseRuns(amount=50).run()

        assert bought.state == "success"
        assert bought.result["checkout_id"] != id_of(person.links[0])
        assert emulator.checkout(bought.result["checkout_id"]).status == "completed"
        assert f"do not also pay checkout {id_of(person.links[0])}" in capsys.readouterr().out

    def test_orphan_of_another_task_does_not_end_the_wait(
        self,
        person: Person,
        emulator: Emulator,
        orphan_paid: Callable[[], None],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def another_task_has_it() -> None:
            orphan_paid()
            [orphan] = (checkout.id for checkout in emulator.checkouts() if checkout.status == "completed")
            claim_for_another_task(orphan)

        person.while_waiting = in_turn(another_task_has_it, person.pays)
        bought = PurchaseRuns(amount=50).run()

        assert (bought.state, bought.tries) == ("success", 1)
        assert bought.result["checkout_id"] == id_of(person.links[0])
        assert emulator.checkout(id_of(person.links[0])).status == "completed"
        assert "belong to other tasks" in caplog.text

    def test_two_paid_checkouts_are_logged_as_an_error(
        self,
        person: Person,
        emulator: Emulator,
        orphan_paid: Callable[[], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def pays_both() -> None:
            orphan_paid()
            person.pays()

        person.while_waiting = pays_both
        bought = PurchaseRuns(amount=50).run()

        assert bought.state == "success"
        loud = [line for line in capsys.readouterr().out.splitlines() if "[error" in line]
        assert any("2 checkouts of this task were paid" in line for line in loud)
        assert all(any(checkout.id in line for line in loud) for checkout in emulator.checkouts())
