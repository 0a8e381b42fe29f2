"""Describes holds and changes for the credits page. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_decimal, to_json_number
from airflow_provider_videodb.api.urls import is_web_address
from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.holds.rules.account import assess
from airflow_provider_videodb.holds.rules.messages import describe_place, describe_wait, number
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.overview.holds import DELETED, Holder
from airflow_provider_videodb.overview.text import printable, to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.api.models import Invoice
    from airflow_provider_videodb.holds.identity import Identity
    from airflow_provider_videodb.holds.journal import Note
    from airflow_provider_videodb.holds.rules.account import View
    from airflow_provider_videodb.holds.rules.records import Flag
    from airflow_provider_videodb.overview.money import ListedCheckout
    from airflow_provider_videodb.overview.pauses import Pause
    from airflow_provider_videodb.overview.recorded import TaskName

#: How many holds, waiting gates and changes the page shows.
MOST_HOLDERS = 50
MOST_CHANGES = 20
_LONGEST_WORD = 40
_STATES = {"completed": "paid", "pending": "made, not paid yet", "expired": "made, and expired unpaid"}


def shown_flags(view: View) -> tuple[tuple[Flag, ...], tuple[Flag, ...]]:
    """
    Return the flags that the page shows.

    :return: those that count, oldest first, and the head of the queue.
    """
    counted = sorted((one.flag for one in view.counted.values()), key=lambda flag: (flag.ms, flag.key))
    return tuple(counted[:MOST_HOLDERS]), view.queue[:MOST_HOLDERS]


def describe_holds(
    view: View,
    who: Mapping[Flag, Identity | None],
    run_states: Mapping[tuple[str, str], str],
    reasons: Mapping[str, str],
    pause: Pause | None,
) -> dict[str, Any]:
    """
    Describe the holds of an account.

    :param who: the holders that the viewer may read. Other holders have no name.
    :param reasons: from :func:`reasons_of`.
    """
    counted, queue = shown_flags(view)

    def row(flag: Flag) -> dict[str, Any]:
        one = who.get(flag)
        state = None if one is None else run_states.get((one.dag_id, one.run_id), DELETED)
        described = Holder(flag=flag, who=one, run_state=state).to_dict(view.listed_at)
        # The id is a digest of the names, which a viewer could guess.
        del described["id"]
        return described

    return {
        "held_credits": to_json_number(view.held),
        "holders": len(view.counted),
        "holds": [row(flag) | {"settles": to_iso(flag.ms) if flag.kind is Kind.RELEASED else None} for flag in counted],
        "waiting_credits": to_json_number(sum((flag.credits for flag in view.queue), Decimal(0))),
        "waiting": len(view.queue),
        "queue": [
            row(flag) | {"place": place, "priority": flag.priority, "reason": reasons[flag.holder]}
            for place, flag in enumerate(queue, start=1)
        ],
        "paused": None if pause is None else pause.to_dict(),
    }


def reasons_of(
    view: View, who: Mapping[Flag, Identity | None], *, balance: Decimal | None, reserve: Decimal
) -> dict[str, str]:
    """
    Say why each gate waits, by holder.

    :param who: the holders that the viewer may read. A reason names no other.
    :param balance: ``None`` if it is unknown.
    """
    return {flag.holder: _reason(flag, view, who, balance, reserve) for flag in view.queue[:MOST_HOLDERS]}


def _reason(
    flag: Flag, view: View, who: Mapping[Flag, Identity | None], balance: Decimal | None, reserve: Decimal
) -> str:
    known = Decimal(0) if balance is None else balance
    seen = assess(view, known, reserve=reserve, owner=flag.owner, credits=flag.credits, priority=flag.priority)
    is_first = seen.first is None or seen.first.holder == flag.holder
    first = None if is_first or seen.first is None else who.get(seen.first)
    describe = describe_place if balance is None else describe_wait
    return describe(seen, flag.credits, first=first)


def changes_of(
    notes: Sequence[Note],
    checkouts: Sequence[ListedCheckout],
    *,
    owners: Mapping[str, TaskName | None],
    may_read: Mapping[str, bool],
) -> list[dict[str, Any]]:
    """
    Return what changed last, the newest first.

    :param owners: the task that claimed each checkout.
    :param may_read: whether the viewer may read a DAG. A DAG that is missing may not be read.
    """
    changes = [change for note in notes if (change := _ended_hold(note, may_read)) is not None]
    changes += [change for one in checkouts if (change := _checkout(one, owners, may_read)) is not None]
    return sorted(changes, key=lambda change: change["at"], reverse=True)[:MOST_CHANGES]


def _ended_hold(note: Note, may_read: Mapping[str, bool]) -> dict[str, Any] | None:
    try:
        credits = to_decimal(note.fields.get("credits"))
    except ValueError:
        return None
    dag_id = note.fields.get("dag_id")
    is_named = isinstance(dag_id, str) and may_read.get(dag_id, False)
    spent = _number(note.fields.get("spent"))
    used = "nobody said what was spent" if spent is None else f"{number(spent)} spent"
    return {
        "at": to_iso(note.ended_ms),
        "what": "released",
        "text": f"{number(credits)} credits were released, {used}",
        "how": printable(str(note.fields.get("released_by") or "")) if is_named else "",
        "dag_id": dag_id if is_named else None,
        "run_id": note.fields.get("run_id") if is_named else None,
        "task_id": note.fields.get("task_id") if is_named else None,
        "map_index": note.fields.get("map_index") if is_named else None,
    }


def named(owner: TaskName | None, may_read: Mapping[str, bool]) -> dict[str, Any]:
    """
    Return the names of a task.

    :return: each is ``None`` if the task is unknown, or if the viewer may not read its DAG.
    """
    if owner is None or not may_read.get(owner.dag_id, False):
        return dict.fromkeys(("dag_id", "run_id", "task_id", "map_index"))
    return owner.to_dict()


def _checkout(
    one: ListedCheckout, owners: Mapping[str, TaskName | None], may_read: Mapping[str, bool]
) -> dict[str, Any] | None:
    checkout = one.checkout
    if checkout.created_at is None:
        return None
    amount = "A checkout" if checkout.amount is None else f"{number(checkout.amount)} {one.currency or ''}".rstrip()
    return {
        "at": _iso(checkout.created_at),
        "what": one.status,
        "text": f"{amount}: {_STATES.get(one.status, 'VideoDB lists an unknown state')}",
        "how": printable(checkout.id or ""),
        **named(owners.get(checkout.id or ""), may_read),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def describe_invoices(invoices: Sequence[Invoice]) -> list[dict[str, Any]]:
    """Return the invoices in JSON form, the newest first."""
    return [
        {
            "id": one.id,
            "at": _iso(one.created_at),
            "amount": to_json_number(one.amount),
            "currency": printable(one.currency or "")[:_LONGEST_WORD].upper(),
            "status": printable(one.status)[:_LONGEST_WORD],
            "url": one.pdf_url if one.pdf_url is not None and is_web_address(one.pdf_url) else None,
        }
        for one in invoices
    ]


def describe_problem(err: Exception) -> dict[str, str]:
    """
    Say what failed, and what to do next.

    The text of a foreign error may contain anything, so it is not shown.
    """
    if not isinstance(err, VideoDBError):
        return {
            "what": f"Airflow could not read this part ({type(err).__name__}).",
            "next": "Look for the error in the log of the API server.",
        }
    what, _, step = str(err).partition("Next step: ")
    return {"what": what.strip(), "next": step[:1].upper() + step[1:].strip()}


def _number(given: object) -> Decimal | None:
    try:
        return to_decimal(given)
    except ValueError:
        return None


def age_of(moment: datetime, *, now: datetime) -> int:
    """Return a moment's age in seconds, at least 0."""
    return max(0, int((now - moment).total_seconds()))
