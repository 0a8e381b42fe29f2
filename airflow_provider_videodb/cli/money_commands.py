"""Runs the commands about the money of an account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.cli.account import AccountHook
from airflow_provider_videodb.cli.money_report import describe_balance, describe_checkouts, describe_usage
from airflow_provider_videodb.cli.running import command, print_json, print_lines, program_of
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import account_part
from airflow_provider_videodb.overview.database import DatabaseStore
from airflow_provider_videodb.overview.holds import Account, by_account, describe_account, total
from airflow_provider_videodb.overview.money import listed_checkouts, month_to_dict, spending_of
from airflow_provider_videodb.overview.pauses import active_pause
from airflow_provider_videodb.overview.purchases import read_claims, read_purchases
from airflow_provider_videodb.overview.recorded import Belonging, belongings
from airflow_provider_videodb.overview.text import to_iso, to_iso_moment

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from airflow_provider_videodb.api.models import Checkout


@command
def balance(args: Namespace) -> None:
    """Show the balance, and what of it is available."""
    hook = AccountHook(args.conn_id)
    reserve = hook.settings.credit_reserve
    # The flags are read first, as in a gate. So what is spent and released meanwhile counts at least once.
    account = _account(hook.settings.credit_account)
    credits = hook.get_poll_client().get_usage().credit_balance
    if args.output == "table":
        print_lines(describe_balance(credits, reserve, account))
        return
    counted = total(account.counted)
    print_json(
        {
            "at": to_iso(account.now_ms),
            "conn_id": args.conn_id,
            "account": account.name,
            "balance_credits": to_json_number(credits),
            "reserve_credits": to_json_number(reserve),
            "held_credits": to_json_number(counted),
            "available_credits": to_json_number(credits - reserve - counted),
            "waiting_credits": to_json_number(total(tuple(one for one, _ in account.waiting))),
            "paused": None if account.pause is None else account.pause.to_dict(),
        }
    )


@command
def usage(args: Namespace) -> None:
    """Show what the month has used and cost."""
    hook = AccountHook(args.conn_id)
    client, limits = hook.get_poll_client(), hook.settings.limits
    used, checkouts, now = client.get_usage(), client.list_checkouts(), datetime.now(UTC)
    if args.output == "json":
        month = month_to_dict(usage=used, checkouts=checkouts, limits=limits, now=now)
        print_json({"conn_id": args.conn_id, **month})
    else:
        print_lines(describe_usage(used, spending_of(checkouts, limits, now=now)))


@command
def checkouts(args: Namespace) -> None:
    """List the newest checkouts, and whose they are."""
    listed = AccountHook(args.conn_id).get_poll_client().list_checkouts(args.limit)
    now = datetime.now(UTC)
    owners = read_belongings(listed, now=now)
    shown = listed_checkouts(listed, now=now)
    if args.output == "json":
        entries = [one.to_dict() | {"task": _owner(owners.get(one.checkout.id or ""))} for one in shown]
        print_json({"at": to_iso_moment(now), "conn_id": args.conn_id, "checkouts": entries})
    elif shown:
        print_lines(describe_checkouts(shown, owners, now=now))
        if len(shown) == args.limit:
            print_lines(["", f"For more: {program_of(args)} checkouts --limit {10 * args.limit}"])
    else:
        print_lines([f"The account of connection {args.conn_id} has no checkouts."])


def read_belongings(listed: Sequence[Checkout], *, now: datetime) -> dict[str, Belonging]:
    """Return the tasks of listed checkouts, by id."""
    ids = by_id(listed)
    found = belongings(read_purchases().purchases, read_claims(ids), now=now)
    return {checkout_id: one for checkout_id, one in found.items() if checkout_id in ids}


def _account(credit_account: str) -> Account:
    store = DatabaseStore()
    view = Ledger(None, store=store).view()
    name = account_part(credit_account)
    part = by_account(view).get(name) or View(flags=(), listed_at=view.listed_at, is_complete=view.is_complete)
    return describe_account(name, part, {}, {}, active_pause(store, part))


def _owner(belongs: Belonging | None) -> dict[str, Any] | None:
    return None if belongs is None else belongs.to_dict()
