"""Buys credits by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, by_id
from airflow_provider_videodb.cli.account import AccountHook
from airflow_provider_videodb.cli.money_report import describe_amount, describe_spending
from airflow_provider_videodb.cli.running import audited, command, confirm, print_json, print_lines, program_of, say
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBConfigError,
    VideoDBError,
    VideoDBOutcomeUnknownError,
    without_next_step,
)
from airflow_provider_videodb.overview.money import open_checkouts, spending_of
from airflow_provider_videodb.overview.text import to_age, to_iso_moment, to_minute
from airflow_provider_videodb.purchases.rules.limits import check_limits
from airflow_provider_videodb.purchases.rules.purchase import idempotency_key

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.overview.money import ListedCheckout

#: The newest entries distinguish two states of a list.
_NEWEST = 50


@command
@audited
def topup(args: Namespace) -> None:
    """Make a checkout, and print its link."""
    hook = AccountHook(args.conn_id)
    limits = hook.settings.limits
    listed, now = hook.get_poll_client().list_checkouts(), datetime.now(UTC)
    check_limits(args.amount, limits, checkouts=listed, now=now)
    same = [one for one in open_checkouts(listed, now=now) if one.checkout.amount == args.amount]
    if same and args.yes and not args.again:
        raise _already_open(args, same)
    if not args.yes:
        say([*_about_open(same, now), *describe_spending(spending_of(listed, limits, now=now))])
        other = "another" if same else "a"
        confirm(args, f"Make {other} checkout of {args.amount} USD on connection {args.conn_id}?")
    if limits.monthly_topup_limit is not None:
        say(["Under monthly_topup_limit, this takes 11 seconds or more."])
    made = _buy(hook, args, key=_key(hook.settings.fingerprint, args.amount, listed))
    expires = datetime.now(UTC) + CHECKOUT_LIFETIME
    if args.output == "json":
        print_json(
            {"id": made.id, "amount": args.amount, "payment_url": made.url, "expires_at": to_iso_moment(expires)}
        )
    else:
        name = f"Checkout {made.id or 'without an id'} of {args.amount} USD"
        print_lines([f"{name} was made. It can be paid until {to_minute(expires)} at", str(made.url)])


def _buy(hook: AccountHook, args: Namespace, *, key: str) -> Checkout:
    try:
        return hook.topup(args.amount, idempotency_key=key)
    except KeyboardInterrupt:
        raise VideoDBOutcomeUnknownError(
            f"The command was stopped while it asked VideoDB for {args.amount} USD. {_what_to_look_for(args)}"
        ) from None
    except OUTCOME_UNKNOWN_ERRORS as err:
        raise VideoDBOutcomeUnknownError(f"{without_next_step(str(err))} {_what_to_look_for(args)}") from None


def _what_to_look_for(args: Namespace) -> str:
    return (
        "So it is unknown whether a checkout was made. Nobody has its link, but an account with a stored card may have "
        f"been charged. Next step: wait 10 seconds, then look for a checkout of {args.amount} USD with "
        f"`{program_of(args)} checkouts --conn-id {args.conn_id}`. If there is none, run this command again."
    )


def _already_open(args: Namespace, same: Sequence[ListedCheckout]) -> VideoDBError:
    return VideoDBConfigError(
        f"The account has an open checkout of {args.amount} USD already: {same[0].checkout.id or 'without an id'}. "
        "Nothing was bought. Next step: pay that one, or add --again to make another."
    )


def _about_open(same: Sequence[ListedCheckout], now: datetime) -> list[str]:
    lines = []
    for one in same:
        made = one.checkout.created_at
        age = "at an unknown time" if made is None else f"{to_age(int((now - made).total_seconds() * 1000))} ago"
        lines.append(
            f"Checkout {one.checkout.id or 'without an id'} of {describe_amount(one)}, made {age}, can still be paid."
        )
    return lines


def _key(account: str, amount: int, listed: Sequence[Checkout]) -> str:
    """
    Return the same key until the list changes.

    The command may run twice before the list shows the first checkout. A server that honors the key then makes only
    one.
    """
    return idempotency_key("airflow videodb topup", account, amount, *list(by_id(listed))[:_NEWEST])
