"""Buys credits by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.utils.platform import getuser

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, by_id
from airflow_provider_videodb.cli.account import AccountHook
from airflow_provider_videodb.cli.announcements import Announcer
from airflow_provider_videodb.cli.money_report import describe_amount, describe_spending
from airflow_provider_videodb.cli.running import audited, command, confirm, print_json, print_lines, program_of, say
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBConfigError,
    VideoDBError,
    VideoDBOutcomeUnknownError,
    without_next_step,
)
from airflow_provider_videodb.overview.database import DatabaseStore
from airflow_provider_videodb.overview.money import open_checkouts, spending_of
from airflow_provider_videodb.overview.text import to_age, to_iso_moment, to_minute
from airflow_provider_videodb.purchases.rules.approval import check_approved
from airflow_provider_videodb.purchases.rules.approval_record import Approval
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG
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
    check_approved(hook.settings.approval_policy, Approval(), args.amount, currency=None)
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
    key = _key(hook.settings.fingerprint, args.amount, listed)
    made = _buy(hook, args, key=key, alone=not (same or args.again))
    expires = datetime.now(UTC) + CHECKOUT_LIFETIME
    if args.output == "json":
        print_json(
            {"id": made.id, "amount": args.amount, "payment_url": made.url, "expires_at": to_iso_moment(expires)}
        )
    else:
        name = f"Checkout {made.id or 'without an id'} of {args.amount} USD"
        print_lines([f"{name} was made. It can be paid until {to_minute(expires)} at", str(made.url)])


def _buy(hook: AccountHook, args: Namespace, *, key: str, alone: bool) -> Checkout:
    """
    Ask for the checkout.

    :param alone: whether another command that asks for the same amount is a mistake.
    """
    settings = hook.settings
    lasts = timedelta(seconds=settings.post_timeout) + LIST_LAG
    account, by = settings.fingerprint, getuser()
    announcer = Announcer(DatabaseStore(), account=account, amount=args.amount, by=by, lasts=lasts)
    try:
        return hook.get_conn().topup(
            args.amount, idempotency_key=key, before_send=lambda: _announce(announcer, args, lasts, alone=alone)
        )
    except KeyboardInterrupt:
        raise VideoDBOutcomeUnknownError(
            f"The command was stopped while it asked VideoDB for {args.amount} USD. {_what_to_look_for(args)}"
        ) from None
    except NO_EFFECT_ERRORS:
        announcer.withdraw()
        raise
    except OUTCOME_UNKNOWN_ERRORS as err:
        raise VideoDBOutcomeUnknownError(f"{without_next_step(str(err))} {_what_to_look_for(args)}") from None


def _announce(announcer: Announcer, args: Namespace, lasts: timedelta, *, alone: bool) -> None:
    other = announcer.announce()
    if other is None or not alone:
        return
    announcer.withdraw()
    age = max(0, int(time.time() - other.ms / 1000))
    who = f"The user {other.by}" if other.by else "Another user"
    raise VideoDBConfigError(
        f"{who} ran this command for {args.amount} USD {age} s ago. VideoDB's list may not show that checkout yet. "
        f"Nothing was bought. Next step: wait {lasts.total_seconds():.0f} s, then run the command again. To make "
        "another checkout now, add --again."
    )


def _what_to_look_for(args: Namespace) -> str:
    return (
        "So it is unknown whether a checkout was made. Nobody has its link, but an account with a stored card may have "
        f"been charged. Next step: wait 10 seconds, then look for a checkout of {args.amount} USD with "
        f"`{program_of(args)} checkouts --conn-id {args.conn_id}`. If there is none, run this command again."
    )


def _already_open(args: Namespace, same: Sequence[ListedCheckout]) -> VideoDBError:
    return VideoDBConfigError(
        f"The account has an open checkout of {args.amount} USD already: {same[0].checkout.id or 'without an id'}. "
        "Nothing was bought. Next step: pay that one by the link that was printed when it was made. Or add --again to "
        "make another."
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
