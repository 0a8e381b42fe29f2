"""Rules of the search: what VideoDB does."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, IdSource
from airflow_provider_videodb.exceptions import VideoDBResponseError, VideoDBServerError
from tests.support.market.draws import (
    AMOUNT,
    SHORT,
    lags,
    lies,
    names,
)
from tests.support.market.videodb import WEBSITE, Card, Entry

if TYPE_CHECKING:
    from tests.support.market.market import Market


class VideoDBRules:
    """VideoDB fails, lies, charges late and sells to others."""

    market: Market

    @rule(
        name=names, lag=lags, error=st.sampled_from([VideoDBServerError, VideoDBResponseError]), polls=st.integers(1, 2)
    )
    def a_poll_fails(self, name: str, lag: timedelta, error: type[Any], polls: int) -> None:
        self.market.videodb.failing_polls.extend([error] * polls)
        self._run(name, timedelta(0), lag, True)
        self.market.videodb.failing_polls.clear()

    @rule(data=st.data(), lie=lies)
    def the_list_lies(self, data: st.DataObject, lie: tuple[str | None, int | None, timedelta | None]) -> None:
        """Let the list show something else of a checkout."""
        entries = [entry for entry in self.market.videodb.entries.values() if entry.made_by != WEBSITE]
        if entries:
            self._lies(entries[data.draw(st.integers(0, len(entries) - 1))], lie)

    @rule(
        name=names,
        lie=lies,
        age=st.sampled_from([None, None, timedelta(hours=23, minutes=52), timedelta(hours=24)]),
        is_paid=st.booleans(),
        polls=st.booleans(),
    )
    def a_task_meets_a_lie(
        self,
        name: str,
        lie: tuple[str | None, int | None, timedelta | None],
        age: timedelta | None,
        is_paid: bool,
        polls: bool,
    ) -> None:
        """Let the list show something else of a task's link, perhaps of an old one, to the task or its trigger."""
        market, task = self.market, self.market.tasks[name]
        if not task.links:
            return
        entry = market.videodb.entries[task.links[-1]]
        if age is not None:
            market.advance(max(timedelta(0), entry.made_at + age - market.time.now))
        if is_paid and market.videodb.payable(entry):
            market.videodb.pay(entry)
        self._lies(entry, lie)
        if polls:
            self.the_trigger_polls(name)
        else:
            self.a_wait_is_interrupted(name)
            self._run(name)

    @rule(
        amount=st.sampled_from([AMOUNT, -AMOUNT, None]),
        currency=st.sampled_from(["usd", "eur"]),
        status=st.sampled_from(["completed", "pending", "active"]),
        dated=st.booleans(),
        named=st.booleans(),
        is_unreadable=st.booleans(),
    )
    def the_list_shows_something_foreign(
        self, amount: int | None, currency: str, status: str, dated: bool, named: bool, is_unreadable: bool
    ) -> None:
        foreign = self.market.videodb.foreign
        missing = [name for name, there in (("amount", amount is not None), ("created_at", dated)) if not there]
        foreign.append(
            Checkout(
                id=f"cs_foreign_{len(foreign)}" if named else None,
                url=None,
                amount=None if amount is None else Decimal(amount),
                currency=currency,
                status=status,
                created_at=self.market.time.now.replace(microsecond=0) if dated else None,
                id_source=IdSource.LIST,
                unreadable=tuple(missing) if is_unreadable else (),
            )
        )

    @rule(pays=st.booleans(), lag=lags)
    def somebody_buys_on_the_website(self, pays: bool, lag: timedelta) -> None:
        videodb = self.market.videodb
        videodb.lag = lag
        entry = videodb.make(AMOUNT, WEBSITE)
        if pays:
            videodb.pay(entry)

    @rule()
    def the_website_is_paid_late(self) -> None:
        videodb = self.market.videodb
        for entry in videodb.entries.values():
            if entry.made_by == WEBSITE and videodb.payable(entry):
                videodb.pay(entry)
                break

    @precondition(lambda self: self.market.videodb.card is Card.LATE)
    @rule(data=st.data())
    def a_card_is_charged_late(self, data: st.DataObject) -> None:
        videodb = self.market.videodb
        payable = [entry for entry in videodb.entries.values() if entry.made_by != WEBSITE and videodb.payable(entry)]
        if payable:
            videodb.pay(payable[data.draw(st.integers(0, len(payable) - 1))])

    @rule(credits=st.sampled_from([4, 6, AMOUNT, -4, -AMOUNT]))
    def others_fill_the_account_or_use_it_up(self, credits: int) -> None:
        self.market.videodb.others_credits += credits

    def _lies(self, entry: Entry, lie: tuple[str | None, int | None, timedelta | None]) -> None:
        word, reads, lasts = lie
        task = self.market.tasks[entry.made_by]
        if word == CheckoutStatus.EXPIRED and lasts != SHORT and self.market.resolution_of(task) is not None:
            return
        self.market.videodb.lies(entry, word, known=self.market.knows(entry), reads=reads, lasts=lasts)
