"""What a worker does in one try of a task: what the operators do, with the real parts that buy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, IdSource, by_id
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBOutcomeUnknownError
from airflow_provider_videodb.purchases.claims import TaskClaims, VariableClaims
from airflow_provider_videodb.purchases.current_try import CurrentTry
from airflow_provider_videodb.purchases.executor import PurchaseExecutor
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW, paid_ids
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.need import Need
from airflow_provider_videodb.purchases.stores import open_store
from tests.support.market.airflow import DAG, RUN, StateStore, identity
from tests.support.market.process import Step, WorkerClock
from tests.support.market.tasks import Kind
from tests.support.market.videodb import ALL_DONE, NOTHING_DONE, ON_ITS_WAY, TIMEOUT, Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from tests.support.market.market import Market
    from tests.support.market.process import Process
    from tests.support.market.tasks import Task


@dataclass(frozen=True)
class Ended:
    """How a try came to its end without an error: with something paid, with nothing needed, or to wait."""

    purchase: Purchase | None
    waits: bool = False


class Try:
    """One process of one task, with all that it touches."""

    def __init__(self, market: Market, task: Task, process: Process) -> None:
        self._market, self._task, self._process = market, task, process
        self._clock = WorkerClock(market.time, process)
        self._shop = _Shop(market, task, process)
        ti = SimpleNamespace(id=process.ti_id, dag_id=DAG, run_id=RUN, task_id=task.name, map_index=-1)
        context: Any = {"ti": ti, "task_state_store": StateStore(market.airflow, process)}
        current_try = CurrentTry(ti, is_stopped=lambda: process.told is not None, clock=self._clock)
        limit = market.monthly_limit
        self._executor = PurchaseExecutor(
            api=self._shop,
            journal=Journal(open_store(context), current_try, clock=self._clock),
            claims=TaskClaims(VariableClaims(clock=self._clock), identity(task.name)),
            current_try=current_try,
            limits=SpendLimits(monthly_topup_limit=None if limit is None else Decimal(limit)),
            identity=identity(task.name),
            account="account",
            post_timeout=TIMEOUT.total_seconds(),
            clock=self._clock,
        )

    def execute(self) -> Ended:
        """Do what ``execute`` of the operators does."""
        executor, ensures = self._executor, self._task.kind is Kind.ENSURE
        begun = executor.load_existing()
        if begun is not None and begun.paid and not ensures:
            return Ended(begun)
        need = self._assess()
        if ensures and need.amount == 0:
            return self._finish(begun)
        if begun is None or not begun.paid:
            fresh = [need]
            begun = executor.obtain_checkout(
                begun,
                lambda: fresh.pop() if fresh else self._assess(),
                currency=None,
                redirect_url=None,
                reprices=ensures,
            )
            if begun is None:
                return Ended(None)
            if not begun.paid:
                begun = self._hand_out(begun)
        return Ended(begun, waits=ensures or not begun.paid)

    def go_on(self, seen: Purchase) -> Ended:
        """Do what ``execute_complete`` of the operators does."""
        executor = self._executor
        if self._task.kind is Kind.TOPUP:
            confirmed = executor.confirm(seen)
            return Ended(confirmed, waits=not confirmed.paid)
        if not seen.paid and (paid := paid_ids(seen, by_id(self._shop.list_checkouts()))):
            seen = seen.marked_paid(paid)
        if seen.paid:
            seen = executor.confirm(seen)
        if self._assess().amount == 0:
            return self._finish(seen)
        return Ended(seen, waits=True)

    def _finish(self, purchase: Purchase | None) -> Ended:
        if purchase is None:
            return Ended(None)
        try:
            if purchase.paid:
                return Ended(self._executor.confirm(purchase))
            purchase, _ = self._executor.reconcile(purchase)
        except VideoDBError:
            # The balance is what the job needs.
            pass
        return Ended(purchase)

    def _assess(self) -> Need:
        self._process.slept = 0.0
        if self._task.kind is Kind.TOPUP:
            missing = self._task.amount
            return Need(amount=missing, balance=None)
        balance = self._market.videodb.balance
        missing = self._process.missing = max(0, self._task.amount - balance)
        self._process.has(Step.ASSESSED)
        return Need(amount=missing, balance=balance)

    def _hand_out(self, purchase: Purchase) -> Purchase:
        self._market.promises.hands_out(self._process, purchase)
        self._process.has(Step.LINK_SHARED)
        if not purchase.notified:
            return self._executor.record(purchase.notified_by("0:Notifier"))
        return purchase


class _Shop:
    """The account, as a worker reaches it."""

    def __init__(self, market: Market, task: Task, process: Process) -> None:
        self._market, self._task, self._process = market, task, process

    def list_checkouts(self) -> list[Checkout]:
        videodb, process = self._market.videodb, self._process
        if videodb.failing_polls:
            raise videodb.failing_polls.popleft()("no list")
        seen = videodb.view(by_a_wrong_clock=process.wall_ahead > CLOCK_SKEW)
        process.last_list = frozenset(str(checkout.id) for checkout in seen)
        process.seen_paid = paid_in(seen)
        self._market.airflow.note_taken_over(process)
        process.has(Step.LISTED)
        return seen

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> Checkout:
        assert idempotency_key is not None
        assert before_send is not None
        market, videodb, process = self._market, self._market.videodb, self._process
        outcome = videodb.outcomes.popleft() if videodb.outcomes else Outcome.WORKS
        process.has(Step.CONNECTED)
        before_send()
        market.promises.buys(process, amount)
        if outcome in NOTHING_DONE:
            raise NOTHING_DONE[outcome](outcome)
        if outcome is Outcome.LOST_ON_ITS_WAY:
            self._loses_on_its_way(amount, idempotency_key)
        entry = videodb.make(amount, self._task.name, idempotency_key, misdated=process.clock_was_wrong)
        sent_at = market.time.now
        process.has(Step.CARRIED_OUT)
        if market.time.now - sent_at >= TIMEOUT:
            raise VideoDBOutcomeUnknownError("The response did not come in time.")
        if outcome in ALL_DONE:
            raise ALL_DONE[outcome](outcome)
        return Checkout(
            id=entry.id if videodb.names_ids else None,
            url=entry.url,
            amount=Decimal(amount),
            currency=currency,
            status=CheckoutStatus.PENDING,
            created_at=None,
            id_source=IdSource.RESPONSE if videodb.names_ids else None,
        )

    def _loses_on_its_way(self, amount: int, key: str) -> None:
        """Leave a POST on its way. If the process dies now, it may arrive until its response would have timed out."""
        market, process = self._market, self._process
        now = market.time.now
        latest = now + TIMEOUT - timedelta(seconds=1)
        request = Request(amount, key, self._task.name, process.clock_was_wrong, latest)
        market.videodb.requests.append(request)
        process.has(Step.SENT)
        request.arrives = min(request.arrives, market.time.now + ON_ITS_WAY)
        raise VideoDBOutcomeUnknownError("The connection was reset.")


def paid_in(checkouts: list[Checkout]) -> frozenset[str]:
    """Return the ids of what is paid."""
    return frozenset(str(checkout.id) for checkout in checkouts if checkout.status == CheckoutStatus.COMPLETED)
