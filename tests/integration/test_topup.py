"""TopupOperator buys once and waits for the payment, in real DAG runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBPermissionError,
)
from tests.support.dag_runs import new_dag, run
from tests.support.orders import Notifier, posted
from tests.support.purchases import (
    LIST,
    TASK,
    TOPUP,
    USAGE,
    Died,
    Point,
    PurchaseRuns,
    in_turn,
    kept_in_xcom,
)

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person


AFTER_THE_LINK = Point("operators._purchasing.PurchasingOperator", "push_link", nth=2, after=True)


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
@pytest.mark.parametrize("dialect", ["openapi", "sample"])
def test_person_pays_the_link_while_the_task_waits(
    person: Person, emulator: Emulator, dialect: Any, *, deferrable: bool
) -> None:
    emulator.change_settings(dialect=dialect)
    seen: dict[str, Any] = {}

    def looks_and_pays() -> None:
        seen.update(kept_in_xcom())
        person.pays()

    person.while_waiting = looks_and_pays
    notifier = Notifier()
    bought = PurchaseRuns(amount=50, notifiers=[notifier], deferrable=deferrable).run()

    [checkout] = emulator.checkouts()
    link = emulator.payment_url(checkout.id)
    assert seen["payment_url"] == link
    assert notifier.told == [link]
    if deferrable:
        assert seen["_link_CheckoutLink"] == link
    assert bought.result == {
        "checkout_id": checkout.id,
        "amount": 50,
        "currency": None,
        "status": "completed",
        "payment_url": link,
        "balance_before": 3,
        "balance_after": 53,
    }
    assert bought.run.result(TASK, "payment_url") == link
    assert bought.run.result(TASK, "_link_CheckoutLink") == ""
    assert (bought.state, bought.tries) == ("success", 1)


@pytest.mark.parametrize(
    ("filled", "status", "posts"), [(12, "not_needed", 1), (100, "not_needed", 1), (11, "completed", 2)]
)
def test_expired_link_is_replaced_only_if_still_needed(
    person: Person, emulator: Emulator, filled: int, status: str, posts: int
) -> None:
    def expires_while_somebody_fills() -> None:
        person.expires()
        emulator.set_balance(filled)

    person.while_waiting = in_turn(expires_while_somebody_fills, person.pays)
    bought = PurchaseRuns(amount=50, only_if_below=12, retries=1).run()

    assert (bought.state, bought.result["status"]) == ("success", status)
    assert len(posted(emulator)) == posts


@pytest.mark.parametrize(
    ("only_if_below", "status"),
    [(3, "not_needed"), ("3", "not_needed"), (2.5, "not_needed"), ("3.01", "completed"), (0, "not_needed")],
)
def test_only_if_below_buys_only_below(person: Person, emulator: Emulator, only_if_below: Any, status: str) -> None:
    bought = PurchaseRuns(amount=50, only_if_below=only_if_below).run()

    assert bought.result["status"] == status
    assert len(posted(emulator)) == (status == "completed")


def test_result_without_purchase_has_the_usual_keys(person: Person) -> None:
    assert PurchaseRuns(amount=50, only_if_below=1).run().result == {
        "checkout_id": None,
        "amount": None,
        "currency": None,
        "status": "not_needed",
        "payment_url": None,
        "balance_before": 3,
        "balance_after": 3,
    }


def test_only_if_below_does_not_cancel_an_existing_purchase(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.on_sight = person.pays
    AFTER_THE_LINK.breaks(Died(), monkeypatch)
    bought = PurchaseRuns(amount=50, only_if_below=10, retries=1).run()

    assert bought.result["status"] == "completed"
    assert len(posted(emulator)) == 1


def test_only_if_below_is_checked_again_after_a_refusal(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.add_fault("status", method="POST", path=TOPUP, status=429)
    purchasing = PurchaseRuns(amount=50, only_if_below=10)
    refused = purchasing.run()
    assert refused.state == "failed"
    emulator.set_balance(10)

    assert purchasing.clear(refused).result["status"] == "not_needed"
    assert posted(emulator) == []


def test_task_without_waiting_ends_with_the_link(person: Person, emulator: Emulator) -> None:
    person.while_waiting = lambda: pytest.fail("it waits")
    notifier = Notifier()
    bought = PurchaseRuns(amount=50, wait_for_payment=False, notifiers=[notifier]).run()

    [checkout] = emulator.checkouts()
    assert checkout.status == "pending"
    assert (bought.result["status"], bought.result["balance_after"]) == ("pending", None)
    assert bought.result["payment_url"] == person.links[0] == bought.run.result(TASK, "payment_url")
    assert bought.run.result(TASK, "_link_CheckoutLink") == person.links[0]
    assert notifier.told == person.links


def test_clear_without_waiting_shows_the_same_link(person: Person, emulator: Emulator) -> None:
    purchasing = PurchaseRuns(amount=50, wait_for_payment=False)
    first = purchasing.run()
    again = purchasing.clear(first)

    assert again.result == first.result
    assert len(posted(emulator)) == 1


def test_template_fields_take_templates_and_results(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import task

    from airflow_provider_videodb.operators.topup import TopupOperator

    given = {
        "amount": 50,
        "currency": "usd",
        "redirect_url": "https://example.org/paid",
        "only_if_below": 3.5,
        "max_amount": 50,
        "approval_above": 50,
        "videodb_conn_id": "videodb_other",
    }
    assert set(given) == set(TopupOperator.template_fields)
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_OTHER", emulator.connection_json)
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")

    @task(multiple_outputs=True)
    def settings() -> dict[str, Any]:
        return given

    with new_dag("templates") as dag:
        results = settings()
        wait: Any = {"poll_interval": 0.05, "payment_timeout": 20}
        by_result = TopupOperator(task_id="by_result", **{name: results[name] for name in given}, **wait)
        templates = {name: f"{{{{ ti.xcom_pull(task_ids='settings', key='{name}') }}}}" for name in given}
        by_template = TopupOperator(task_id="by_template", **templates | {"only_if_below": "{{ 60 }}"}, **wait)
        results >> by_result >> by_template
    done = run(dag)

    assert [done.result(name)["status"] for name in ("by_result", "by_template")] == ["completed", "completed"]
    assert posted(emulator) == [{"amount": 50, "currency": "usd", "redirect_url": "https://example.org/paid"}] * 2


def test_mapped_tasks_buy_once_each(person: Person, emulator: Emulator) -> None:
    from airflow_provider_videodb.operators.topup import TopupOperator

    with new_dag("mapped") as dag:
        TopupOperator.partial(task_id=TASK, poll_interval=0.05, payment_timeout=20).expand(amount=[50, 50, 20])
    done = run(dag)

    assert done.state == "success"
    assert sorted(checkout.amount for checkout in emulator.checkouts()) == [20, 50, 50]
    assert {checkout.status for checkout in emulator.checkouts()} == {"completed"}
    assert len(person.links) == 3


@pytest.mark.parametrize("amount", ["50", " 50 ", "50.0", 50.0])
def test_amount_may_be_text(person: Person, emulator: Emulator, amount: Any) -> None:
    assert PurchaseRuns(amount=amount).run().result["amount"] == 50
    assert [order["amount"] for order in posted(emulator)] == [50]


@pytest.mark.parametrize(
    ("status", "error"), [(401, VideoDBAuthenticationError), (403, VideoDBPermissionError)], ids=str
)
@pytest.mark.parametrize("path", [USAGE, LIST, TOPUP])
def test_refused_key_is_not_retried(
    person: Person, emulator: Emulator, path: str, status: int, error: type[Exception]
) -> None:
    emulator.add_fault("status", path=path, status=status, times=None)
    bought = PurchaseRuns(amount=50, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, error)
    assert posted(emulator) == []


def test_missing_connection_is_retried(person: Person) -> None:
    # Airflow raises the same error if it could not read the connection.
    bought = PurchaseRuns(amount=50, retries=2, videodb_conn_id="nowhere").run()

    assert (bought.state, bought.tries) == ("failed", 3)
    assert "nowhere" in str(bought.errors[-1])


def test_unreadable_balance_does_not_fail_a_paid_task(person: Person, emulator: Emulator) -> None:
    def pays_and_breaks() -> None:
        person.pays()
        emulator.add_fault("status", path=USAGE, times=None, status=400)

    person.while_waiting = pays_and_breaks
    bought = PurchaseRuns(amount=50, retries=1).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert bought.result["balance_after"] is None
