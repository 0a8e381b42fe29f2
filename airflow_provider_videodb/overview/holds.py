"""What an account's flags say, for display. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.holds.rules.account import View, assess
from airflow_provider_videodb.holds.rules.messages import describe_place
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.overview.text import to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_videodb.holds.identity import Identity
    from airflow_provider_videodb.holds.rules.records import Flag
    from airflow_provider_videodb.overview.pauses import Pause

#: What the list calls the state of a DAG run that Airflow no longer has.
DELETED = "deleted"
_ENDED = frozenset({"success", "failed", DELETED})
_UNMAPPED = ".-1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """
    A task instance that holds or waits.

    :param who: the task instance; ``None`` if the record does not say.
    :param run_state: the state of its DAG run; ``None`` if the record does not name the run.
    :param payment_url: the link that its task waits for; ``None`` if there is none.
    """

    flag: Flag
    who: Identity | None
    run_state: str | None
    payment_url: str | None = None

    @property
    def id(self) -> str:
        """The id that a person types."""
        return self.flag.holder.removesuffix(_UNMAPPED)

    @property
    def has_ended(self) -> bool:
        """Whether the DAG run has ended."""
        return self.run_state in _ENDED

    def to_dict(self, now_ms: int) -> dict[str, Any]:
        """Return the JSON for programs."""
        is_settling = self.flag.kind is Kind.RELEASED
        return {
            "id": self.id,
            "credits": to_json_number(self.flag.credits),
            "since": None if is_settling else to_iso(self.flag.ms),
            "age_seconds": None if is_settling else max(0, now_ms - self.flag.ms) // 1000,
            "dag_id": self.who.dag_id if self.who else None,
            "run_id": self.who.run_id if self.who else None,
            "task_id": self.who.task_id if self.who else None,
            "map_index": self.who.map_index if self.who else None,
            "try_number": self.who.try_number if self.who else None,
            "run_state": self.run_state,
            "run_has_ended": None if self.run_state is None else self.has_ended,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """
    One account.

    :param name: the account's part of the keys.
    :param counted: the holders whose credits count: held, or released and settling.
    :param waiting: the waiting gates in the order of their turns, each with the reason.
    """

    name: str
    counted: tuple[Holder, ...]
    waiting: tuple[tuple[Holder, str], ...]
    pause: Pause | None
    now_ms: int

    @property
    def held(self) -> tuple[Holder, ...]:
        """The holders of unreleased credits."""
        return tuple(one for one in self.counted if one.flag.kind is Kind.HELD)

    @property
    def settling(self) -> tuple[Holder, ...]:
        """The holders of released credits that still count."""
        return tuple(one for one in self.counted if one.flag.kind is Kind.RELEASED)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for programs."""
        return {
            "account": self.name,
            "held_credits": to_json_number(total(self.held)),
            "settling_credits": to_json_number(total(self.settling)),
            "waiting_credits": to_json_number(total(tuple(one for one, _ in self.waiting))),
            "paused": None if self.pause is None else self.pause.to_dict(),
            "holds": [one.to_dict(self.now_ms) for one in self.held],
            "settling": [one.to_dict(self.now_ms) | {"counts_until": to_iso(one.flag.ms)} for one in self.settling],
            "waiting": [
                one.to_dict(self.now_ms)
                | {"place": place, "priority": one.flag.priority, "reason": reason}
                | {"payment_url": one.payment_url}
                for place, (one, reason) in enumerate(self.waiting, start=1)
            ],
        }


def total(holders: tuple[Holder, ...]) -> Decimal:
    """Return the credits of all of them."""
    return sum((one.flag.credits for one in holders), Decimal(0))


def by_account(view: View) -> dict[str, View]:
    """Split a view of all accounts."""
    names = sorted({flag.account for flag in view.flags})
    return {
        name: View(
            flags=tuple(flag for flag in view.flags if flag.account == name),
            listed_at=view.listed_at,
            is_complete=view.is_complete,
        )
        for name in names
    }


def runs_of(who: Mapping[Flag, Identity | None]) -> set[tuple[str, str]]:
    """Return the DAG runs of all holders."""
    return {(one.dag_id, one.run_id) for one in who.values() if one is not None}


def describe_account(
    name: str,
    view: View,
    who: Mapping[Flag, Identity | None],
    run_states: Mapping[tuple[str, str], str],
    pause: Pause | None,
    *,
    links: Mapping[str, str] | None = None,
) -> Account:
    """
    Describe one account.

    :param links: the payment links of waiting holders.
    """

    def holder(flag: Flag) -> Holder:
        one = who.get(flag)
        state = None if one is None else run_states.get((one.dag_id, one.run_id), DELETED)
        return Holder(flag=flag, who=one, run_state=state, payment_url=(links or {}).get(flag.holder))

    oldest_first = sorted((one.flag for one in view.counted.values()), key=lambda flag: (flag.ms, flag.key))
    return Account(
        name=name,
        counted=tuple(map(holder, oldest_first)),
        waiting=tuple((holder(flag), _reason(flag, view, who)) for flag in view.queue),
        pause=pause,
        now_ms=view.listed_at,
    )


def _reason(flag: Flag, view: View, who: Mapping[Flag, Identity | None]) -> str:
    seen = assess(
        view,
        Decimal(0),
        reserve=Decimal(0),
        owner=flag.owner,
        credits=flag.credits,
        priority=flag.priority,
    )
    is_first = seen.first is None or seen.first.holder == flag.holder
    return describe_place(seen, flag.credits, first=None if is_first or seen.first is None else who.get(seen.first))
