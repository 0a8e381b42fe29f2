"""Runs the commands of credit holds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.utils.platform import getuser

from airflow_provider_videodb.cli.choices import choose_account, choose_hold
from airflow_provider_videodb.cli.releases import release_by_hand
from airflow_provider_videodb.cli.report import describe_accounts, describe_pause
from airflow_provider_videodb.cli.running import audited, command, print_json, print_lines, program_of
from airflow_provider_videodb.cli.statement import describe_notes, note_to_dict
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.journal import read_notes
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.messages import moment, until
from airflow_provider_videodb.holds.rules.records import Kind, holder_of
from airflow_provider_videodb.overview.database import DatabaseStore, read_run_states
from airflow_provider_videodb.overview.holds import by_account, describe_account, runs_of
from airflow_provider_videodb.overview.pauses import Pause, active_pause, pause_account, remove_pauses
from airflow_provider_videodb.overview.purchases import read_purchases
from airflow_provider_videodb.overview.text import to_iso
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

_TOO_OLD = "Credit holds need Airflow 3.3 or newer, and this Airflow is older."


@command
def holds_list(args: Namespace) -> None:
    """Show who holds, who waits and what is paused."""
    store = DatabaseStore()
    ledger = Ledger(None, store=store)
    view = ledger.view()
    everything = by_account(view)
    parts = {name: part for name, part in everything.items() if args.account in {None, name}}
    flags = [flag for part in parts.values() for flag in part.flags if flag.kind is not Kind.PAUSED]
    who = {flag: ledger.who(flag) for flag in flags}
    states = read_run_states(runs_of(who))
    links = _payment_links() if any(flag.kind is Kind.WAITING for flag in flags) else {}
    accounts = [
        describe_account(name, part, who, states, active_pause(store, part), links=links)
        for name, part in parts.items()
    ]
    accounts = [one for one in accounts if one.counted or one.waiting or one.pause]
    if args.output == "json":
        print_json({"at": to_iso(view.listed_at), "accounts": [one.to_dict() for one in accounts]})
    elif accounts:
        print_lines(describe_accounts(accounts, program=program_of(args)))
    else:
        print_lines(_nothing_to_list(args.account, everything))


@command
@audited
def holds_release(args: Namespace) -> None:
    """Release one hold."""
    ledger = Ledger(None, store=DatabaseStore())
    holder = choose_hold(args)
    print_lines(release_by_hand(ledger, holder, by=getuser(), reason=args.reason, read_run_states=read_run_states))


@command
@audited
def holds_pause(args: Namespace) -> None:
    """Pause an account."""
    if not VARIABLES_CAN_BE_LISTED:
        raise VideoDBConfigError(f"{_TOO_OLD} Nothing was paused. Next step: pause the DAGs instead.")
    store = DatabaseStore()
    view = Ledger(None, store=store).view()
    account = choose_account(args.account, view)
    parts = by_account(view)
    earlier = active_pause(store, parts[account]) if account in parts else None
    until_ms = 0 if args.duration is None else view.listed_at + args.duration
    pause_account(store, view, account, Pause(until_ms=until_ms, by=getuser(), reason=args.reason))
    lines = [
        f"Account {account} is paused {until(until_ms)}. No gate of it opens, except those with respect_holds=False."
    ]
    used = {flag.account for flag in view.flags if flag.kind is not Kind.PAUSED}
    if account not in used and not any(True for _ in read_notes(store, account, since_ms=0)):
        lines += _warn_of_a_new_name(account, used)
    if earlier is not None:
        lines.append(f"This replaces the earlier pause. It was {describe_pause(earlier)}.")
    lines += [
        "Pipelines whose gate has opened continue.",
        f"To end the pause: {program_of(args)} holds resume --account {account}",
    ]
    print_lines(lines)


@command
@audited
def holds_resume(args: Namespace) -> None:
    """End the pause of an account."""
    store = DatabaseStore()
    view = Ledger(None, store=store).view()
    account = choose_account(args.account, view, kind=Kind.PAUSED)
    parts = by_account(view)
    earlier = active_pause(store, parts[account]) if account in parts else None
    remove_pauses(store, view.flags, account)
    if earlier is None:
        print_lines([f"Account {account} was not paused. Nothing was changed."])
    else:
        print_lines([f"Account {account} is resumed. It was {describe_pause(earlier)}."])


@command
def holds_journal(args: Namespace) -> None:
    """Show holds that have ended."""
    notes = list(read_notes(DatabaseStore(), args.account, since_ms=args.since))
    if args.output == "json":
        print_json({"since": to_iso(args.since), "holds": [note_to_dict(note) for note in notes]})
    elif notes:
        print_lines(describe_notes(notes))
    else:
        of = f" of account {args.account}" if args.account else ""
        print_lines([f"No hold{of} has ended since {moment(args.since)}. Show more with --since 30d."])


def _payment_links() -> dict[str, str]:
    """Return the link of each task that waits for a payment, by its holder."""
    now, links = datetime.now(UTC), {}
    for one in read_purchases().purchases:
        link = one.link(now=now)
        if one.task is not None and link is not None:
            links[holder_of(**asdict(one.task))] = link
    return links


def _nothing_to_list(account: str | None, known: Iterable[str]) -> list[str]:
    of = f" of account {account}" if account else ""
    lines = [f"Nobody holds or waits for credits{of}, and nothing is paused."]
    names = ", ".join(known) if account else ""
    if names:
        lines.append(f"Known accounts: {names}.")
    if not VARIABLES_CAN_BE_LISTED:
        lines.append(_TOO_OLD)
    return lines


def _warn_of_a_new_name(account: str, known: Iterable[str]) -> list[str]:
    names = ", ".join(sorted(known))
    return [
        f"Warning: no gate has used the account name {account} yet"
        + (f". Accounts with holds are: {names}." if names else "."),
        "The name is the credit_account of the connection, or the id of the connection if it has none.",
    ]
