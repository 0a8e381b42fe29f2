"""What TopupOperator promises, told to a real `dag.test()` against the emulator."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBConfigError,
    VideoDBPaymentTimeoutError,
    VideoDBPermissionError,
    VideoDBPurchaseUnknownError,
    VideoDBRecordUnreadableError,
)
from tests.support.dag_runs import new_dag, run
from tests.support.purchases import (
    LIST,
    TASK,
    TOPUP,
    USAGE,
    Died,
    Point,
    Shopping,
    id_of,
    in_turn,
    journal_of,
    kept_in_xcom,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Bought, Person

AFTER_THE_LINK = Point("operators._purchasing.PurchasingOperator", "push_link", nth=2, after=True)


class Notifier:
    """Keeps what it was told; a stand-in for the notifiers of Slack or mail."""

    def __init__(self, error: Callable[[], Exception | None] = lambda: None) -> None:
        self.told: list[str] = []
        self._error = error

    def __call__(self, context: Any) -> None:
        self.told.append(context["task"].payment_url)
        if error := self._error():
            raise error

    def __deepcopy__(self, memo: object) -> Notifier:
        return self


def posted(emulator: Emulator) -> list[dict[str, Any]]:
    return [json.loads(call.body) for call in emulator.calls("POST", TOPUP, accepted=True)]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
@pytest.mark.parametrize("dialect", ["openapi", "sample"])
def test_a_person_sees_the_link_while_the_task_waits_and_pays_it(
    person: Person, emulator: Emulator, dialect: Any, *, deferrable: bool
) -> None:
    emulator.change_settings(dialect=dialect)
    seen: dict[str, Any] = {}

    def looks_and_pays() -> None:
        seen.update(kept_in_xcom())
        person.pays()

    person.while_waiting = looks_and_pays
    notifier = Notifier()
    bought = Shopping(amount=50, notifiers=[notifier], deferrable=deferrable).run()

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


def test_what_to_pay_is_told_to_a_notifier_once_however_often_the_task_is_tried(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    Point("operators._purchasing.PurchasingOperator", "wait").breaks(Died(), monkeypatch)
    notifier = Notifier()
    bought = Shopping(amount=50, notifiers=[notifier], retries=1).run()

    assert bought.tries == 2
    assert notifier.told == person.links
    assert len(person.links) == 1


def test_a_notifier_is_told_of_each_new_link(person: Person, emulator: Emulator) -> None:
    person.while_waiting = in_turn(person.expires, person.pays)
    notifier = Notifier()
    bought = Shopping(amount=50, notifiers=[notifier], retries=1).run()

    assert bought.state == "success"
    assert notifier.told == person.links
    assert len(person.links) == 2


def test_a_notifier_that_fails_neither_fails_the_task_nor_silences_the_next(person: Person) -> None:
    broken, working = Notifier(lambda: RuntimeError("no such channel")), Notifier()
    bought = Shopping(amount=50, notifiers=[broken, working]).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert broken.told == working.told == person.links


def test_a_notifiers_template_knows_the_link(person: Person, tmp_path: Any) -> None:
    from airflow.sdk import BaseNotifier

    class Mail(BaseNotifier):
        template_fields = ("text",)

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

        def notify(self, context: Any) -> None:
            (tmp_path / "mail").write_text(self.text)

    Shopping(amount=50, notifiers=[Mail("Pay {{ task.payment_url }} for {{ dag.dag_id }}")]).run()

    assert (tmp_path / "mail").read_text() == f"Pay {person.links[0]} for shopping"


def test_notifier_that_failed_is_called_again_on_retry(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One notifier raises twice; the one after it has told somebody at the first try and is left alone."""
    Point("operators._purchasing.PurchasingOperator", "wait").breaks(Died(), monkeypatch)
    person.while_waiting = in_turn(lambda: None, person.pays)
    errors = iter([RuntimeError("no such channel"), RuntimeError("gone"), None])
    broken, working = Notifier(lambda: next(errors)), Notifier()
    bought = Shopping(amount=50, notifiers=[broken, working], payment_timeout=0.3, retries=3).run()

    assert (bought.state, bought.tries) == ("success", 3)
    assert broken.told == person.links * 3
    assert working.told == person.links


def test_notifiers_template_knows_all_there_is_to_say(person: Person, emulator: Emulator, tmp_path: Any) -> None:
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
    bought = Shopping(amount=50, only_if_below=12.5, currency="usd", notifiers=[Mail(text)]).run()

    told = dict(zip(fields, (tmp_path / "mail").read_text().splitlines(), strict=True))
    [checkout] = emulator.checkouts()
    assert (told["url"], told["amount"], told["currency"]) == (person.links[0], "50", "usd")
    assert (told["checkout_id"], told["credits_missing"]) == (checkout.id, "9.5")
    expires_at = datetime.fromisoformat(told["expires_at"])
    assert abs(expires_at - checkout.expires_at) < timedelta(seconds=5)
    assert f"/dags/shopping/runs/{quote(bought.run.dag_run.run_id)}/tasks/{TASK}" in told["run_url"]


@pytest.mark.parametrize(
    ("filled", "status", "posts"), [(12, "not_needed", 1), (100, "not_needed", 1), (11, "completed", 2)]
)
def test_expired_link_is_replaced_only_if_it_is_still_needed(
    person: Person, emulator: Emulator, filled: int, status: str, posts: int
) -> None:
    def expires_while_somebody_fills() -> None:
        person.expires()
        emulator.set_balance(filled)

    person.while_waiting = in_turn(expires_while_somebody_fills, person.pays)
    bought = Shopping(amount=50, only_if_below=12, retries=1).run()

    assert (bought.state, bought.result["status"]) == ("success", status)
    assert len(posted(emulator)) == posts


@pytest.mark.parametrize(
    ("only_if_below", "status"),
    [(3, "not_needed"), ("3", "not_needed"), (2.5, "not_needed"), ("3.01", "completed"), (0, "not_needed")],
)
def test_only_if_below_buys_only_below(person: Person, emulator: Emulator, only_if_below: Any, status: str) -> None:
    bought = Shopping(amount=50, only_if_below=only_if_below).run()

    assert bought.result["status"] == status
    assert len(posted(emulator)) == (status == "completed")


def test_what_only_if_below_made_needless_has_the_keys_of_a_purchase(person: Person) -> None:
    assert Shopping(amount=50, only_if_below=1).run().result == {
        "checkout_id": None,
        "amount": None,
        "currency": None,
        "status": "not_needed",
        "payment_url": None,
        "balance_before": 3,
        "balance_after": 3,
    }


def test_only_if_below_does_not_make_a_begun_purchase_needless(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.on_sight = person.pays
    AFTER_THE_LINK.breaks(Died(), monkeypatch)
    bought = Shopping(amount=50, only_if_below=10, retries=1).run()

    assert bought.result["status"] == "completed"
    assert len(posted(emulator)) == 1


def test_only_if_below_is_asked_again_where_nothing_was_bought(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.add_fault("status", method="POST", path=TOPUP, status=429)
    shopping = Shopping(amount=50, only_if_below=10)
    refused = shopping.run()
    assert refused.state == "failed"
    emulator.set_balance(10)

    assert shopping.clear(refused).result["status"] == "not_needed"
    assert posted(emulator) == []


def test_without_waiting_the_task_ends_once_the_link_is_there(person: Person, emulator: Emulator) -> None:
    person.while_waiting = lambda: pytest.fail("it waits")
    notifier = Notifier()
    bought = Shopping(amount=50, wait_for_payment=False, notifiers=[notifier]).run()

    [checkout] = emulator.checkouts()
    assert checkout.status == "pending"
    assert (bought.result["status"], bought.result["balance_after"]) == ("pending", None)
    assert bought.result["payment_url"] == person.links[0] == bought.run.result(TASK, "payment_url")
    assert bought.run.result(TASK, "_link_CheckoutLink") == person.links[0]
    assert notifier.told == person.links


def test_without_waiting_a_clear_shows_the_same_link(person: Person, emulator: Emulator) -> None:
    shopping = Shopping(amount=50, wait_for_payment=False)
    first = shopping.run()
    again = shopping.clear(first)

    assert again.result == first.result
    assert len(posted(emulator)) == 1


def test_every_template_field_takes_a_template_or_an_earlier_tasks_result(
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


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
class TestAWaitThatFails:
    def test_expired(self, person: Person, *, deferrable: bool) -> None:
        person.while_waiting = person.expires
        bought = Shopping(amount=50, deferrable=deferrable).run()

        assert bought.state == "failed"
        [error] = bought.errors
        assert isinstance(error, VideoDBCheckoutExpiredError)
        assert "cannot be paid" in str(error)
        assert "new link" in str(error)
        assert bought.run.result(TASK, "_link_CheckoutLink") == ""

    def test_nobody_paid(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = lambda: None
        bought = Shopping(amount=50, payment_timeout=timedelta(seconds=0.2), deferrable=deferrable).run()

        [error] = bought.errors
        assert isinstance(error, VideoDBPaymentTimeoutError)
        assert person.links[0] in str(error)
        assert "stays payable" in str(error)

    def test_vanished(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = emulator.reset
        bought = Shopping(amount=50, deferrable=deferrable).run()

        [error] = bought.errors
        assert isinstance(error, VideoDBCheckoutMissingError)
        assert person.links[0] in str(error)

    def test_a_retry_waits_for_the_same_checkout(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(lambda: None, person.pays)
        notifier = Notifier()
        bought = Shopping(amount=50, payment_timeout=0.3, deferrable=deferrable, retries=2, notifiers=[notifier]).run()

        assert (bought.state, bought.tries) == ("success", 2)
        assert len(posted(emulator)) == len(person.links) == len(notifier.told) == 1

    def test_a_retry_replaces_what_expired(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        person.while_waiting = in_turn(person.expires, person.pays)
        bought = Shopping(amount=50, deferrable=deferrable, retries=2).run()

        assert (bought.state, bought.tries) == ("success", 2)
        assert sorted(checkout.status for checkout in emulator.checkouts()) == ["completed", "expired"]
        assert bought.result["payment_url"] == person.links[-1]

    def test_blips_of_the_list_do_not_end_it(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        def fails_for_a_while() -> None:
            emulator.add_fault("status", method="GET", path=LIST, times=4)
            person.pays()

        person.while_waiting = fails_for_a_while
        assert Shopping(amount=50, deferrable=deferrable).run().state == "success"


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
    assert Shopping(amount=50).run().result["status"] == "completed"


@pytest.mark.parametrize("record", ["variables"], indirect=True)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_variable_that_airflow_cannot_read_is_not_taken_for_none(
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
    bought = Shopping(amount=50, retries=3).run()

    assert (bought.state, bought.tries) == ("success", 3)
    assert isinstance(bought.errors[-1], VideoDBRecordUnreadableError)
    assert [checkout.status for checkout in emulator.checkouts()] == ["completed"]


BAD_ARGUMENTS: list[dict[str, Any]] = [
    *({"amount": value} for value in (0, -1, 1.5, "abc", "1.5", "", True, None, "nan", "Infinity", [50])),
    *({"only_if_below": value} for value in (-1, "abc", True, "nan")),
    *({"redirect_url": value} for value in ("", "example.org/paid", "ftp://example.org", "javascript:alert(1)", 5)),
    *({"payment_timeout": value} for value in (0, -1, timedelta(0), "soon", None)),
    *({"poll_interval": value} for value in (0, -1, "often", None)),
    *({"max_amount": value} for value in (0, -5, 1.5, "abc", True)),
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=str)
def test_bad_literal_fails_while_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    """What templates render to is in test_emptied_arguments.py."""
    with pytest.raises(VideoDBConfigError) as caught:
        Shopping(**{"amount": 50} | arguments)

    [(name, value)] = arguments.items()
    assert name in str(caught.value)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("amount", ["50", " 50 ", "50.0", 50.0])
def test_an_amount_may_come_as_text(person: Person, emulator: Emulator, amount: Any) -> None:
    assert Shopping(amount=amount).run().result["amount"] == 50
    assert [order["amount"] for order in posted(emulator)] == [50]


@pytest.mark.parametrize(
    ("status", "error"), [(401, VideoDBAuthenticationError), (403, VideoDBPermissionError)], ids=str
)
@pytest.mark.parametrize("path", [USAGE, LIST, TOPUP])
def test_a_refused_key_is_not_tried_again(
    person: Person, emulator: Emulator, path: str, status: int, error: type[Exception]
) -> None:
    emulator.add_fault("status", path=path, status=status, times=None)
    bought = Shopping(amount=50, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, error)
    assert posted(emulator) == []


def test_a_connection_that_airflow_does_not_find_is_looked_for_again(person: Person) -> None:
    # It says the same when it could not look.
    bought = Shopping(amount=50, retries=2, videodb_conn_id="nowhere").run()

    assert (bought.state, bought.tries) == ("failed", 3)
    assert "nowhere" in str(bought.errors[-1])


def test_a_balance_that_cannot_be_read_afterwards_does_not_fail_a_paid_task(person: Person, emulator: Emulator) -> None:
    def pays_and_breaks() -> None:
        person.pays()
        emulator.add_fault("status", path=USAGE, times=None, status=400)

    person.while_waiting = pays_and_breaks
    bought = Shopping(amount=50, retries=1).run()

    assert (bought.state, bought.tries) == ("success", 1)
    assert bought.result["balance_after"] is None


class TestAPurchaseThatCannotBeTold:
    """Somebody else pays the same amount at the moment whose answer is lost; both are charged to a stored card."""

    @pytest.fixture
    def shopping(
        self, person: Person, emulator: Emulator, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> Shopping:
        emulator.change_settings(charge_stored_card=True)
        emulator.add_fault("drop_after", method="POST", path=TOPUP, skip=1)
        connect(max_retries=0)
        topup, others = BillingClient.topup, iter([True])

        def both(self: BillingClient, amount: int, **kwargs: Any) -> Any:
            if next(others, False):
                topup(self, amount)
            return topup(self, amount, **kwargs)

        monkeypatch.setattr(BillingClient, "topup", both)
        return Shopping(amount=50, retries=2)

    @pytest.fixture
    def stopped(self, shopping: Shopping) -> Bought:
        return shopping.run()

    def test_stops_and_lists_what_may_be_its_own(self, stopped: Bought, emulator: Emulator) -> None:
        assert (stopped.state, stopped.tries) == ("failed", 1)
        assert isinstance(stopped.cause, VideoDBPurchaseUnknownError)
        for checkout in emulator.checkouts():
            assert f"{checkout.id}: 50 usd, completed" in str(stopped.cause)
        assert f"airflow variables set {answer_variable(stopped)} " in str(stopped.cause)

    def test_a_clear_without_an_answer_stops_again(
        self, stopped: Bought, shopping: Shopping, emulator: Emulator
    ) -> None:
        again = shopping.clear(stopped)

        assert again.state == "failed"
        assert isinstance(again.cause, VideoDBPurchaseUnknownError)
        assert len(emulator.checkouts()) == 2

    def test_a_person_says_which_one_it_was(self, stopped: Bought, shopping: Shopping, emulator: Emulator) -> None:
        own = emulator.checkouts()[0]
        answered(stopped, own.id)
        again = shopping.clear(stopped)

        assert again.state == "success"
        assert (again.result["checkout_id"], again.result["status"]) == (own.id, "completed")
        assert len(emulator.checkouts()) == 2
        assert answer_to(stopped) is None

    def test_a_person_says_buy(self, stopped: Bought, shopping: Shopping, emulator: Emulator, person: Person) -> None:
        emulator.change_settings(charge_stored_card=False)
        answered(stopped, " buy ")
        again = shopping.clear(stopped)

        assert again.state == "success"
        assert len(emulator.checkouts()) == 3
        assert again.result["payment_url"] == person.links[0]
        assert answer_to(stopped) is None
        # One answer is for one purchase.
        assert shopping.clear(again).result["checkout_id"] == again.result["checkout_id"]

    def test_an_answer_that_is_none_stops_again_and_stays(
        self, stopped: Bought, shopping: Shopping, emulator: Emulator
    ) -> None:
        answered(stopped, "cs_test_nowhere")
        again = shopping.clear(stopped)

        assert again.state == "failed"
        assert isinstance(again.cause, VideoDBPurchaseUnknownError)
        assert "cs_test_nowhere" in str(again.cause)
        assert len(emulator.checkouts()) == 2
        assert answer_to(stopped) == "cs_test_nowhere"


def answer_variable(stopped: Bought) -> str:
    words = str(stopped.cause).split()
    return words[words.index("set") + 1]


def answered(stopped: Bought, answer: str) -> None:
    from airflow.models.variable import Variable

    Variable.set(answer_variable(stopped), answer)


def answer_to(stopped: Bought) -> str | None:
    from airflow.models.variable import Variable

    answer: str | None = Variable.get(answer_variable(stopped), default_var=None)
    return answer


def claim_for_another_task(checkout_id: str) -> None:
    from airflow.models.variable import Variable

    Variable.set(f"videodb_checkout__{checkout_id}", "another/task")


def test_what_another_task_took_for_its_own_is_not_handed_out(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    topup = BillingClient.topup

    def taken_at_once(self: BillingClient, amount: int, **kwargs: Any) -> Any:
        checkout = topup(self, amount, **kwargs)
        claim_for_another_task(str(checkout.id))
        return checkout

    monkeypatch.setattr(BillingClient, "topup", taken_at_once)
    bought = Shopping(amount=50, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, VideoDBPurchaseUnknownError)
    assert "taken for its own by another task" in str(bought.cause)
    assert person.links == []
    assert len(posted(emulator)) == 1


class TestAnOrphanThatIsPaidLater:
    """The answer was lost, a second link is out, and then the first checkout turns out to be paid."""

    @pytest.fixture
    def orphan_paid(self, person: Person, emulator: Emulator) -> Callable[[], None]:
        emulator.add_fault("drop_after", method="POST", path=TOPUP)

        def pays_the_orphan() -> None:
            [orphan] = (checkout for checkout in emulator.checkouts() if checkout.id != id_of(person.links[0]))
            emulator.pay(orphan.id)

        return pays_the_orphan

    def test_ends_the_wait(
        self,
        person: Person,
        emulator: Emulator,
        orphan_paid: Callable[[], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        person.while_waiting = orphan_paid
        bought = Shopping(amount=50).run()

        assert bought.state == "success"
        assert bought.result["checkout_id"] != id_of(person.links[0])
        assert emulator.checkout(bought.result["checkout_id"]).status == "completed"
        assert f"Do not pay the link of {id_of(person.links[0])} as well" in capsys.readouterr().out

    def test_does_not_end_the_wait_of_a_task_whose_it_is_not(
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
        bought = Shopping(amount=50).run()

        assert (bought.state, bought.tries) == ("success", 1)
        assert bought.result["checkout_id"] == id_of(person.links[0])
        assert emulator.checkout(id_of(person.links[0])).status == "completed"
        assert "they are another task's" in caplog.text

    def test_is_reported_loudly_where_both_are_paid(
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
        bought = Shopping(amount=50).run()

        assert bought.state == "success"
        [loud] = [line for line in capsys.readouterr().out.splitlines() if "More than one checkout" in line]
        assert "[error" in loud
        assert all(checkout.id in loud for checkout in emulator.checkouts())


WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 1}


def topup_trigger(purchase: dict[str, Any]) -> BaseTrigger:
    from airflow_provider_videodb.triggers.checkout import CheckoutTrigger

    return CheckoutTrigger(purchase=purchase, **WAIT)


def ensure_credits_trigger(purchase: dict[str, Any] | None) -> BaseTrigger:
    from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger

    return EnsureCreditsTrigger(threshold=53, state={"purchase": purchase}, **WAIT)


class TestAKill:
    """A user marks the waiting task failed."""

    def test_of_a_worker_says_what_remains_payable(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def kills() -> None:
            from airflow.sdk import get_current_context

            get_current_context()["task"].on_kill()
            person.pays()

        person.while_waiting = kills
        Shopping(amount=50, deferrable=False).run()

        assert f"stays payable until it expires, and there is no call to cancel it: {person.links[0]}" in (
            capsys.readouterr().out
        )

    @pytest.mark.parametrize("trigger", [topup_trigger, ensure_credits_trigger])
    @pytest.mark.parametrize(
        ("meanwhile", "words"),
        [
            ("nothing", "stays payable until it expires, and there is no call to cancel it: http"),
            ("pays", "was paid: its credits are on the account"),
            ("expires", "expired unpaid: nothing can be paid any more"),
        ],
    )
    def test_of_a_trigger_has_a_last_look(
        self,
        person: Person,
        capsys: pytest.CaptureFixture[str],
        *,
        trigger: Callable[[dict[str, Any]], BaseTrigger],
        meanwhile: str,
        words: str,
    ) -> None:
        purchase = journal_of(Shopping(amount=50, wait_for_payment=False).run())
        getattr(person, meanwhile, lambda: None)()
        asyncio.run(trigger(purchase).on_kill())

        assert words in capsys.readouterr().out

    def test_of_a_wait_without_a_purchase_says_nothing(
        self, airflow_db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asyncio.run(ensure_credits_trigger(None).on_kill())

        assert "payable" not in capsys.readouterr().out

    def test_before_there_is_a_link_says_nothing(self, airflow_db: None, capsys: pytest.CaptureFixture[str]) -> None:
        Shopping(amount=50).task.on_kill()

        assert "payable" not in capsys.readouterr().out
