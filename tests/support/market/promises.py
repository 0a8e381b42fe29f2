"""What must hold, whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenlet import getcurrent

from airflow_provider_videodb.api.models import CheckoutStatus
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG
from tests.support.market.airflow import FRESH
from tests.support.market.process import BrokenPromiseError, Process
from tests.support.market.tasks import Kind
from tests.support.market.videodb import WEBSITE, Card

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from tests.support.market.market import Market
    from tests.support.market.tasks import Task
    from tests.support.market.videodb import Entry


class Promises:
    """
    Says when one is broken: :meth:`hold` at every moment, the others when a process is about to do something.

    What VideoDB and Airflow make impossible is excepted; each exception is in ``docs/money-safety.md``.
    """

    def __init__(self, market: Market) -> None:
        self._market = market

    # When a process is about to do something

    def buys(self, process: Process, amount: int) -> None:
        """A POST is about to be written."""
        task = self._market.tasks[process.task]
        self._is_to_go_on(process, "buys")
        _require(not task.reported, f"{task.name} has reported {task.reported} as paid, and buys again")
        _require(not task.asks, f"{task.name} asked a person, and buys without the resolution")
        if task.kind is Kind.ENSURE:
            missing = process.missing or 0
            _require(0 < amount <= missing, f"{task.name} asks for {amount} where it has seen {missing} to be missing")
            _require(
                process.slept < LIST_LAG.total_seconds(),
                f"{task.name} has slept {process.slept} s since it last read the balance",
            )

    def hands_out(self, process: Process, purchase: Purchase) -> None:
        """A person is about to see a link."""
        market, task = self._market, self._market.tasks[process.task]
        self._is_to_go_on(process, "shows a link")
        entry = next(entry for entry in market.videodb.entries.values() if entry.url == purchase.payment_url)
        if entry.id not in task.links:
            task.links.append(entry.id)
        self._one_link(task)

    def reports(self, process: Process, purchase: Purchase) -> None:
        """A try ends with a purchase that is paid."""
        market, task = self._market, self._market.tasks[process.task]
        if task.reported:
            return
        task.reported = purchase.paid
        seen = [entry for entry in self.paid_by(task) if entry.id in process.seen_paid and not self._is_untold(entry)]
        unsaid = {entry.id for entry in seen} - set(purchase.paid)
        _require(task.resolved or not unsaid, f"{task.name} has paid {unsaid} as well and does not say so")
        for paid in purchase.paid:
            _require(self._is_completed(paid), f"{task.name} reports {paid}, which is not paid")
            _require(
                process.clock_was_wrong or paid not in market.airflow.begun_with.get(task.name, ()),
                f"{task.name} takes {paid} for its own, which it has seen before it asked for anything",
            )
        own = [other.reported[0] for other in market.tasks.values() if other.reported]
        _require(len(own) == len(set(own)), "two tasks report the same checkout as their own")

    def _is_to_go_on(self, process: Process, what: str) -> None:
        """Airflow had said so at most a moment ago, unless it still would."""
        market = self._market
        over, told = market.airflow.over.get(process.ti_id), process.told
        if over is None and told is None:
            return
        asked = process.asked
        is_fresh = asked is not None and market.time.now - process.asked_at <= FRESH
        for since, why in ((over, "in a try that is over"), (told, "after it was told to stop")):
            _require(since is None or (is_fresh and since > (asked or 0)), f"{process.task} {what} {why}")

    # At every moment

    def hold(self) -> None:
        """Check what must hold at every moment."""
        for task in self._market.tasks.values():
            self._one_link(task)
            self._paid_once(task)
        limit, videodb = self._market.monthly_limit, self._market.videodb
        if limit is not None and videodb.card is Card.NONE and not videodb.has_hidden:
            self._within(limit)

    def paid_by(self, task: Task) -> list[Entry]:
        """Return what this task has paid."""
        entries = self._market.videodb.entries.values()
        return [entry for entry in entries if entry.paid_at and self._is_of(entry, task)]

    def _one_link(self, task: Task) -> None:
        videodb = self._market.videodb
        payable = [link for link in task.links if videodb.payable(videodb.entries[link])]
        _require(len(payable) <= 1, f"{task.name} has shared {payable}, which can all be paid")

    def _paid_once(self, task: Task) -> None:
        mine = [entry for entry in self.paid_by(task) if not self._is_excepted(entry)]
        _require(len(mine) <= 1, f"{task.name} has paid {[entry.id for entry in mine]}")

    def _is_excepted(self, entry: Entry) -> bool:
        """Say whether nobody could have known of a payment when the next checkout was asked for."""
        # VideoDB went on saying that it has expired: then it is reported, but cannot be helped.
        if entry.denied or self._is_untold(entry):
            return True
        # A card that is charged later than the list lags.
        return self._market.videodb.card is Card.LATE and self._is_lost(entry)

    def _is_untold(self, entry: Entry) -> bool:
        """Say whether nobody can tell whose it is: its response was lost, and the time of its POST noted wrongly."""
        return entry.misdated and self._is_lost(entry)

    def _is_lost(self, entry: Entry) -> bool:
        return not self._market.airflow.noted & {entry.id, entry.url}

    def _is_of(self, entry: Entry, task: Task) -> bool:
        """Say whether a checkout of ours counts as this task's: another task may have taken it for its own."""
        if entry.made_by == WEBSITE:
            return False
        owners = {name for name, other in self._market.tasks.items() if entry.id in other.reported[:1]}
        owner = self._market.airflow.owner(entry.id)
        owners |= {owner} if owner is not None else set()
        return task.name in (owners or {entry.made_by})

    def _is_completed(self, checkout_id: str) -> bool:
        videodb = self._market.videodb
        entry = videodb.entries.get(checkout_id)
        if entry is not None:
            return entry.paid_at is not None
        return any(
            foreign.id == checkout_id and foreign.status == CheckoutStatus.COMPLETED for foreign in videodb.foreign
        )

    def _within(self, limit: int) -> None:
        videodb, by_month = self._market.videodb, dict[tuple[int, int], int]()
        for task in self._market.tasks.values():
            for entry in (videodb.entries[link] for link in task.links):
                if entry.status(self._market.time.now) is not CheckoutStatus.EXPIRED:
                    month = (entry.made_at.year, entry.made_at.month)
                    by_month[month] = by_month.get(month, 0) + entry.amount
        _require(all(spent <= limit for spent in by_month.values()), f"{by_month} is over the limit of {limit}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        # In a process none of the code that is tried may catch it.
        raise BrokenPromiseError(otherwise) if isinstance(getcurrent(), Process) else AssertionError(otherwise)
