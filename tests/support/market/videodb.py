"""VideoDB with one account: what it makes, charges, and shows in a list that may lie."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, IdSource
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW, LIST_LAG

if TYPE_CHECKING:
    from tests.support.market.process import Time

WEBSITE = "website"
#: What an unpaid checkout lives.
LIFETIME = timedelta(hours=24)
#: How long a client waits for the response to a POST.
TIMEOUT = timedelta(seconds=40)
#: How long a request whose sender has given up may still be on its way.
ON_ITS_WAY = LIST_LAG / 2
#: From this age on a checkout that VideoDB calls expired is believed to be, whatever the worker's clock.
_OLD = LIFETIME - 3 * CLOCK_SKEW


class Card(StrEnum):
    """What VideoDB does with a stored card."""

    NONE = "there is none"
    AT_ONCE = "charged at once"
    SOMETIMES = "charged at once, or refused by the bank"
    LATE = "charged at some time later"


class Outcome(StrEnum):
    """What becomes of a POST."""

    WORKS = "it works"
    NOT_SENT = "it never leaves"
    REFUSED = "VideoDB refuses"
    TOO_MANY = "VideoDB wants fewer calls"
    LOST = "the response is lost, nothing was done"
    LOST_AFTER = "the response is lost, all was done"
    LOST_ON_ITS_WAY = "the response is lost, it will be done"
    GATEWAY = "a gateway responds, nothing was done"
    GATEWAY_AFTER = "a gateway responds, all was done"
    FAULT = "VideoDB has a fault, nothing was done"
    FAULT_AFTER = "VideoDB has a fault, all was done"


NOTHING_DONE: dict[Outcome, type[VideoDBAPIError]] = {
    Outcome.NOT_SENT: VideoDBNotSentError,
    Outcome.REFUSED: VideoDBRefusedError,
    Outcome.TOO_MANY: VideoDBRateLimitError,
    Outcome.LOST: VideoDBOutcomeUnknownError,
    Outcome.GATEWAY: VideoDBResponseError,
    Outcome.FAULT: VideoDBServerError,
}
ALL_DONE: dict[Outcome, type[VideoDBAPIError]] = {
    Outcome.LOST_AFTER: VideoDBOutcomeUnknownError,
    Outcome.GATEWAY_AFTER: VideoDBResponseError,
    Outcome.FAULT_AFTER: VideoDBServerError,
}


@dataclass
class Lie:
    """
    What the list shows of a checkout in place of the truth.

    :param word: the state it names; ``None`` if it does not show the checkout at all.
    :param reads: how many polls show it; ``None`` if all do.
    :param until: when it is over; ``None`` if it never is.
    :param is_long: whether polls that are a list lag apart can see it.
    """

    word: str | None
    reads: int | None
    until: datetime | None
    is_long: bool

    @property
    def proves_age_only(self) -> bool:
        """Whether the age of the checkout is all that speaks against it."""
        return self.is_long and self.word == CheckoutStatus.EXPIRED

    def is_over(self, now: datetime) -> bool:
        return self.reads == 0 or (self.until is not None and now >= self.until)


@dataclass
class Entry:
    """A checkout as VideoDB knows it."""

    id: str
    amount: int
    made_by: str
    made_at: datetime
    listed_from: datetime
    paid_at: datetime | None = None
    #: The worker that asked for it noted the time of another day.
    misdated: bool = False
    #: VideoDB has called it expired, for long and at the right age, although it was paid.
    denied: bool = False
    lie: Lie | None = None

    @property
    def url(self) -> str:
        return f"https://pay.example/{self.id}"

    def status(self, now: datetime) -> CheckoutStatus:
        if self.paid_at is not None:
            return CheckoutStatus.COMPLETED
        return CheckoutStatus.EXPIRED if now >= self.made_at + LIFETIME else CheckoutStatus.PENDING

    def shown(self, now: datetime, *, by_a_wrong_clock: bool) -> Checkout | None:
        word: str | None = self.status(now)
        if self.lie is not None and self.lie.is_over(now):
            self.lie = None
        if self.lie is not None and not (by_a_wrong_clock and self.lie.proves_age_only):
            word = self.lie.word
            self.lie.reads = None if self.lie.reads is None else self.lie.reads - 1
        if word is None:
            return None
        return Checkout(
            id=self.id,
            url=None,
            amount=Decimal(self.amount),
            currency="usd",
            status=word,
            created_at=self.made_at.replace(microsecond=0),
            id_source=IdSource.LIST,
        )


@dataclass
class Request:
    """A POST that is still on its way."""

    amount: int
    key: str
    made_by: str
    misdated: bool
    arrives: datetime


@dataclass
class VideoDB:
    """
    VideoDB with one account.

    :param names_ids: whether the response to a POST names the checkout, or is a link alone.
    """

    time: Time
    card: Card
    honours_key: bool
    names_ids: bool
    entries: dict[str, Entry] = field(default_factory=dict)
    #: What else is listed, which our code cannot have made.
    foreign: list[Checkout] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    #: How long the next checkout takes to show, and whether the bank lets its card be charged.
    lag: timedelta = timedelta(0)
    bank_agrees: bool = True
    #: How the next POSTs and polls end.
    outcomes: deque[Outcome] = field(default_factory=deque)
    failing_polls: deque[type[VideoDBAPIError]] = field(default_factory=deque)
    #: Credits that others have brought or taken.
    others_credits: int = 0
    #: The list has hidden what counts towards the month.
    has_hidden: bool = False
    _by_key: dict[str, Entry] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return self.others_credits + sum(entry.amount for entry in self.entries.values() if entry.paid_at)

    def view(self, *, by_a_wrong_clock: bool = False) -> list[Checkout]:
        """Return the list as VideoDB shows it now, newest first."""
        now = self.time.now
        shown = (
            entry.shown(now, by_a_wrong_clock=by_a_wrong_clock)
            for entry in reversed(self.entries.values())
            if entry.listed_from <= now
        )
        return [checkout for checkout in shown if checkout is not None] + self.foreign

    def make(self, amount: int, made_by: str, key: str | None = None, *, misdated: bool = False) -> Entry:
        """Make a checkout, and charge the card for it if there is one."""
        if self.honours_key and key in self._by_key:
            return self._by_key[key]
        now, number = self.time.now, len(self.entries)
        # Ids are in no order: nothing may be read from them.
        entry = Entry(f"cs_{number * 37 % 101:03d}", amount, made_by, now, now + self.lag, misdated=misdated)
        self.entries[entry.id] = entry
        if key is not None:
            self._by_key[key] = entry
            if self.card is Card.AT_ONCE or (self.card is Card.SOMETIMES and self.bank_agrees):
                self.pay(entry)
        return entry

    def pay(self, entry: Entry) -> None:
        assert self.payable(entry)
        entry.paid_at = self.time.now

    def payable(self, entry: Entry) -> bool:
        return entry.status(self.time.now) is CheckoutStatus.PENDING

    def carry_out(self, request: Request) -> None:
        """Let a POST arrive whose sender is gone or has given up."""
        self.requests.remove(request)
        self.time.now = max(self.time.now, request.arrives)
        lag, self.lag = self.lag, min(self.lag, ON_ITS_WAY - timedelta(milliseconds=100))
        self.make(request.amount, request.made_by, request.key, misdated=request.misdated)
        self.lag = lag

    def lies(self, entry: Entry, word: str | None, *, known: bool, reads: int | None, lasts: timedelta | None) -> None:
        """
        Show something else of a checkout, as far as the task that asked for it can be expected to bear that.

        :param known: whether the task has written down which checkout is its own. What it has not written down, and
            VideoDB does not show, nobody can know of.
        """
        until = None if lasts is None else self.time.now + lasts
        is_long = lasts is None or lasts >= LIST_LAG
        if entry.paid_at is not None and word in (None, *CheckoutStatus) and not known:
            return
        if word == CheckoutStatus.EXPIRED and is_long and (until is None or until >= entry.made_at + _OLD):
            # An unpaid one may be believed to have expired some minutes early: clocks differ.
            if entry.paid_at is None:
                return
            entry.denied = True
        self.has_hidden |= word is None
        entry.lie = Lie(word, reads, until, is_long)

    def tells_the_truth(self) -> None:
        """Let all faults end but what the list has forgotten for good."""
        self.lag, self.bank_agrees = timedelta(0), True
        self.outcomes.clear()
        self.failing_polls.clear()
        for entry in self.entries.values():
            if not self.has_forgotten(entry):
                entry.lie = None

    def has_forgotten(self, entry: Entry) -> bool:
        """Say whether the list does not show a checkout any more, for good."""
        lie = entry.lie
        return lie is not None and lie.word is None and lie.until is None and lie.reads is None
