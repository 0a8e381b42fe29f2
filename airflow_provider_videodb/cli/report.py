"""Writes the list of holds for people. Pure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from airflow_provider_videodb.holds.rules.messages import moment, number, until
from airflow_provider_videodb.overview.holds import total
from airflow_provider_videodb.overview.text import is_link, printable, to_age, to_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.overview.holds import Account, Holder
    from airflow_provider_videodb.overview.pauses import Pause

#: The width of a narrow terminal.
_WIDTH = 100
_WHO = ("TRY", "RUN STATE")


def describe_accounts(accounts: Sequence[Account], *, program: str) -> list[str]:
    """
    Return the lines of the list.

    :param program: what a person types before ``holds``.
    """
    lines: list[str] = []
    for account in accounts:
        lines += ["", *_describe_account(account, program)] if lines else _describe_account(account, program)
    return lines


def describe_pause(pause: Pause) -> str:
    """Describe a pause: until when, by whom and why."""
    by = f" by {pause.by}" if pause.by else ""
    return printable(f"paused {until(pause.until_ms)}{by}" + (f": {pause.reason}" if pause.reason else ""))


def _describe_account(account: Account, program: str) -> list[str]:
    lines = [_headline(account)]
    if account.pause is not None:
        lines += [f"It is {describe_pause(account.pause)}. No gate opens."]
    if account.held:
        rows = [(_since(one, account.now_ms) + _who(one), [_short(one)]) for one in account.held]
        lines += ["", *_section("HOLD", ("ID", "CREDITS", "HELD FOR", "SINCE", *_WHO), rows)]
    if account.settling:
        settling = [(_until(one, account.now_ms) + _who(one), [_short(one)]) for one in account.settling]
        lines += ["", *_section("SETTLE", ("ID", "CREDITS", "COUNT FOR", "UNTIL", *_WHO), settling)]
    if account.waiting:
        lines += ["", *_waiting(account)]
    return lines + _hints(account, program)


def _headline(account: Account) -> str:
    parts = []
    if account.held:
        parts.append(f"{number(total(account.held))} credits held by {_count(account.held, 'pipeline')}")
    if account.settling:
        releases = _count(account.settling, "release")
        parts.append(f"{number(total(account.settling))} credits still count after {releases}")
    if account.waiting:
        waiting = tuple(one for one, _ in account.waiting)
        verb = "waits" if len(waiting) == 1 else "wait"
        parts.append(f"{_count(waiting, 'gate')} {verb} for {number(total(waiting))} credits")
    return f"Account {printable(account.name)}: {', '.join(parts) or 'nobody holds or waits for credits'}."


def _waiting(account: Account) -> list[str]:
    head = ("PLACE", "ID", "CREDITS", "WAITS FOR", "SINCE", "PRIORITY", *_WHO)
    rows = []
    for place, (one, _) in enumerate(account.waiting, start=1):
        name, credits, age, since = _since(one, account.now_ms)
        cells = [place, name, credits, age, since, one.flag.priority or None, *_who(one)]
        rows.append((cells, [_short(one), *([one.payment_url] if one.payment_url else [])]))
    first, reason = account.waiting[0]
    lines = wrap(f"First in line, {_short(first)}: {printable(reason)}", width=_WIDTH, break_long_words=False)
    return [*_section("WAIT", head, rows), "", *lines]


def _section(name: str, head: Sequence[str], rows: Sequence[tuple[Sequence[object], Sequence[str]]]) -> list[str]:
    # The link of a payment is the whole of its line.
    return [name, *(line if is_link(line) else f"  {line}" for line in to_blocks(head, rows))]


def _since(one: Holder, now_ms: int) -> list[object]:
    return [one.id, number(one.flag.credits), to_age(now_ms - one.flag.ms), moment(one.flag.ms)]


def _until(one: Holder, now_ms: int) -> list[object]:
    return [one.id, number(one.flag.credits), to_age(one.flag.ms - now_ms), moment(one.flag.ms)]


def _who(one: Holder) -> list[object]:
    return [None, None] if one.who is None else [one.who.try_number, one.run_state]


def _short(one: Holder) -> str:
    return "by a task that the record does not name" if one.who is None else printable(str(one.who))


def _hints(account: Account, program: str) -> list[str]:
    ended = [one for one in account.held if one.has_ended]
    if not ended:
        return []
    what = "1 hold has" if len(ended) == 1 else f"{len(ended)} holds have"
    return [
        "",
        f"{what} a DAG run that has ended. The next waiting gate releases the holds of such runs.",
        f"To release the first now: {program} holds release {ended[0].id} --reason '...'",
    ]


def _count(holders: tuple[Holder, ...], what: str) -> str:
    return f"{len(holders)} {what}{'' if len(holders) == 1 else 's'}"
