"""Releases a hold by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.messages import moment, number
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.holds.rules.releasing import release_gate
from airflow_provider_videodb.overview.holds import DELETED
from airflow_provider_videodb.overview.text import printable, to_age

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_videodb.holds.identity import Identity
    from airflow_provider_videodb.holds.ledger import Ledger
    from airflow_provider_videodb.holds.rules.account import View
    from airflow_provider_videodb.holds.rules.records import Flag

_ACTIVE = frozenset({"queued", "running"})


def release_by_hand(
    ledger: Ledger,
    holder: str,
    *,
    by: str,
    reason: str,
    read_run_states: Callable[[Iterable[tuple[str, str]]], dict[tuple[str, str], str]],
) -> list[str]:
    """
    Release a task instance's hold, and describe it.

    :param by: the name of the person.
    :raises VideoDBConfigError: if it holds nothing.
    """
    view = ledger.view()
    own = replace(view, flags=tuple(flag for flag in view.flags if flag.holder == holder))
    held = [flag for flag in own.flags if flag.kind is Kind.HELD]
    if not held:
        return _nothing_to_release(own, view, holder, ledger)
    lines: list[str] = []
    for account in sorted({flag.account for flag in held}):
        lines += _release(ledger, own, account, why=f"released by hand by {by}: {reason}")
    who = ledger.who(held[0])
    state = read_run_states([(who.dag_id, who.run_id)]).get((who.dag_id, who.run_id), DELETED) if who else None
    if state in _ACTIVE:
        lines.append(
            f"The DAG run is still {state}. No hold covers what its job spends from now on. To stop the job, mark its "
            "task as failed."
        )
    return lines


def _release(ledger: Ledger, own: View, account: str, *, why: str) -> list[str]:
    # A place in the queue stays, because a later try of the gate may wait there.
    flags = tuple(flag for flag in own.flags if flag.account == account and flag.kind in {Kind.HELD, Kind.RELEASED})
    settling = {flag.owner: flag.ms for flag in flags if flag.kind is Kind.RELEASED}
    names = {flag.owner: ledger.who(flag) for flag in flags}
    steps = release_gate(replace(own, flags=flags), flags[0].holder, settlement_ms=ledger.settlement_ms, why=why)
    lines: list[str] = []
    for flag in ledger.run(steps).holds:
        until = settling.get(flag.owner, own.listed_at + ledger.settlement_ms(flag))
        lines += _describe(flag, names[flag.owner], own.listed_at, until)
    return lines


def _describe(flag: Flag, who: Identity | None, now_ms: int, until: int) -> list[str]:
    name = f"hold {flag.holder}" if who is None else f"{who} (try {who.try_number})"
    lines = [
        printable(
            f"Released {number(flag.credits)} credits of account {flag.account}, held for "
            f"{to_age(now_ms - flag.ms)} by {name}."
        )
    ]
    if until > now_ms:
        lines.append(
            f"They still count until {moment(until)}, because VideoDB's balance shows spending late. Then other gates "
            "can use what is left of them."
        )
    return lines


def _nothing_to_release(own: View, view: View, holder: str, ledger: Ledger) -> list[str]:
    waiting = next((flag for flag in own.flags if flag.kind is Kind.WAITING), None)
    if waiting is not None:
        raise VideoDBConfigError(
            f"{_name(waiting, ledger)} waits for {number(waiting.credits)} credits and holds none. Nothing was "
            "changed, because a waiting task would queue up again at its next poll. Next step: mark the task as "
            "failed, and it leaves the queue."
        )
    settling = [flag for flag in own.flags if flag.kind is Kind.RELEASED and flag.ms > view.listed_at]
    if settling:
        return [
            f"{_name(flag, ledger)} has released its hold already. {number(flag.credits)} credits still count until "
            f"{moment(flag.ms)}. Nothing was changed."
            for flag in settling
        ]
    task, _, _ = holder.rpartition(".")
    others = sorted(
        int(flag.holder.removeprefix(f"{task}."))
        for flag in view.flags
        if flag.kind is Kind.HELD and flag.holder.startswith(f"{task}.")
    )
    if others:
        raise VideoDBConfigError(
            f"That task is mapped, and holds as map index {', '.join(map(str, others[:20]))}. Nothing was released. "
            "Next step: name one with --map-index, or by its ID in `holds list`."
        )
    raise VideoDBConfigError(
        f"There is no hold {holder.removesuffix('.-1')}, or it has been released and settled. Nothing was released. "
        "Next step: see who holds credits with `holds list`, and what has ended with `holds journal`."
    )


def _name(flag: Flag, ledger: Ledger) -> str:
    who = ledger.who(flag)
    return printable(f"Hold {flag.holder}" if who is None else str(who))
