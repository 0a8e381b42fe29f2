"""Defines the record of an approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import TOO_LARGE
from airflow_provider_videodb.purchases.rules.candidates import currency_name
from airflow_provider_videodb.purchases.rules.record_format import unreadable_record

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The option that refuses a purchase.
REFUSE = "Refuse"


class OutcomeStatus(StrEnum):
    """How an approval request ended."""

    APPROVED = "approved"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    #: Airflow returned something that the task did not offer.
    NOT_UNDERSTOOD = "not_understood"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """
    An approval request, as Airflow shows it.

    :param amount: the most US dollars, or units of ``currency``, that it may approve.
    :param at: when the person was asked (ISO 8601).
    :param until: when no response counts as a refusal (ISO 8601).
    :param max_tries: Airflow's figure then. A clear by a person raises it, and a retry does not.
    :param approvers: the ids of the users who may respond; empty if Airflow does not restrict them.
    :param conn_id: the connection that the text names. The approval of a purchase does not pass to another one.
    :param is_shown: whether Airflow has confirmed that it shows the request.
    :param notified: the notifiers that have sent the request, and the further messages that each has sent.
    """

    amount: int
    currency: str | None
    at: str
    until: str
    max_tries: int
    approvers: tuple[str, ...] = ()
    conn_id: str | None = None
    is_shown: bool = False
    notified: tuple[str, ...] = ()

    @property
    def price(self) -> str:
        """The amount for a person: ``50 USD``."""
        return f"{self.amount} {currency_name(self.currency or 'usd')}"

    @property
    def options(self) -> tuple[str, str]:
        """The two options: approve the amount, or refuse."""
        return f"Approve {self.price}", REFUSE

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the record."""
        # JSON has lists only, and a record is compared with what the store returns.
        return asdict(self) | {"approvers": list(self.approvers), "notified": list(self.notified)}

    def is_enough_for(self, amount: int, *, currency: str | None, conn_id: str | None) -> bool:
        """Say whether its approval would cover a purchase on this connection."""
        is_same = (currency or "usd").lower() == (self.currency or "usd").lower() and conn_id == self.conn_id
        return is_same and amount <= self.amount


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    How the last request ended.

    :param by: the person who responded; ``None`` if nobody did.
    :param at: when (ISO 8601).
    :param max_tries: as for :class:`Ask`.
    :param response: what Airflow returned, if it was not understood.
    """

    status: OutcomeStatus
    by: str | None
    at: str
    max_tries: int
    response: str | None = None


@dataclass(frozen=True, kw_only=True)
class Approval:
    """
    What is recorded of the approval of one purchase.

    :param asked: the request that Airflow shows; ``None`` if nobody was asked.
    :param outcome: how it ended; ``None`` while it is open.
    :param unknown_fields: fields of a newer format, kept as they are.
    """

    asked: Ask | None = None
    outcome: Outcome | None = None
    unknown_fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, record: object) -> Approval:
        """
        Read the JSON form; ``None`` stands for no approval.

        :raises VideoDBPurchaseUnknownError: if it cannot be read. It must not pass for an approval.
        """
        if record is None:
            return cls()
        try:
            return cls(**_fields_of(record))
        except (TypeError, ValueError, KeyError) as err:
            raise unreadable_record(f"its approval is not as the task wrote it: {str(err)[:100]}") from err

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the record."""
        return {
            **self.unknown_fields,
            "asked": None if self.asked is None else self.asked.to_dict(),
            "outcome": None if self.outcome is None else asdict(self.outcome),
        }

    @property
    def is_open(self) -> bool:
        """Whether a person was asked and has not responded."""
        return self.asked is not None and self.outcome is None

    def covers(self, amount: int, *, currency: str | None, conn_id: str | None) -> bool:
        """Say whether a person approved at least this purchase on this connection."""
        if self.asked is None or self.outcome is None or self.outcome.status is not OutcomeStatus.APPROVED:
            return False
        return self.asked.is_enough_for(amount, currency=currency, conn_id=conn_id)

    def asking(self, ask: Ask) -> Approval:
        """Record a request, whose outcome is open."""
        return replace(self, asked=ask, outcome=None)

    def notified_by(self, name: str) -> Approval:
        """Record that a notifier has sent a message."""
        asked = self.asked
        return self if asked is None else replace(self, asked=replace(asked, notified=(*asked.notified, name)))

    def ended(self, outcome: Outcome) -> Approval:
        """Record how the request ended."""
        return replace(self, outcome=outcome)


def _fields_of(record: object) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise TypeError("it is not a JSON object")
    asked, outcome = record["asked"], record["outcome"]
    if asked is not None:
        fields = _checked(
            asked, texts=("at", "until"), numbers=("amount", "max_tries"), optional=("currency", "conn_id")
        )
        fields |= {name: _texts(asked, name) for name in ("approvers", "notified")}
        asked = Ask(**fields, is_shown=asked.get("is_shown") is True)
        if not 0 < asked.amount < TOO_LARGE:
            raise ValueError(f"amount is {asked.amount!r}")
        _check_moments(asked.at, asked.until)
    if outcome is not None:
        fields = _checked(outcome, texts=("status", "at"), numbers=("max_tries",), optional=("by", "response"))
        outcome = Outcome(**{**fields, "status": OutcomeStatus(fields["status"])})
        _check_moments(outcome.at)
    unknown = {name: value for name, value in record.items() if name not in ("asked", "outcome")}
    return {"asked": asked, "outcome": outcome, "unknown_fields": unknown}


def _checked(
    record: object, *, texts: Iterable[str], numbers: Iterable[str], optional: Iterable[str]
) -> dict[str, Any]:
    """Return the fields that this version knows."""
    if not isinstance(record, Mapping):
        raise TypeError("a part of it is not a JSON object")
    fields = {name: record[name] for name in (*texts, *numbers)} | {name: record.get(name) for name in optional}
    for name, value in fields.items():
        is_number = isinstance(value, int) and not isinstance(value, bool)
        is_fine = is_number if name in numbers else isinstance(value, str) or (value is None and name in optional)
        if not is_fine:
            raise TypeError(f"{name} is {value!r}")
    return fields


def _texts(record: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = tuple(record.get(name) or ())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{name} is {texts!r}")
    return texts


def _check_moments(*moments: str) -> None:
    for moment in moments:
        if datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError(f"{moment} has no time zone")
