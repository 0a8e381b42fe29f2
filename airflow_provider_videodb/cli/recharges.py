"""Shows and changes automatic recharge by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.cli.account import AccountHook
from airflow_provider_videodb.cli.money_report import describe_recharge
from airflow_provider_videodb.cli.running import (
    audited,
    command,
    confirm,
    print_json,
    print_lines,
    program_of,
    refuse,
    say,
)
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBConfigError,
    VideoDBOutcomeUnknownError,
    without_next_step,
)
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.recharge import RechargeView, account_prefix, parse_key
from airflow_provider_videodb.holds.rules.records import account_part
from airflow_provider_videodb.overview.database import DatabaseStore

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_videodb.api.models import AutoRecharge


@command
def recharge(args: Namespace) -> None:
    """Show or change the settings."""
    figures = [name for name in ("threshold", "amount") if getattr(args, name) is not None]
    if args.enable and args.disable:
        refuse("give either --enable or --disable, not both")
    if figures and not args.enable:
        refuse(f"--{figures[0]} needs --enable")
    if args.enable or args.disable:
        recharge_change(args)
        return
    hook = AccountHook(args.conn_id)
    _print(args, hook.get_poll_client().get_auto_recharge(), pipelines_of(hook.settings.credit_account))


@audited
def recharge_change(args: Namespace) -> None:
    """Change the settings."""
    hook = AccountHook(args.conn_id)
    found, pipelines = hook.get_poll_client().get_auto_recharge(), pipelines_of(hook.settings.credit_account)
    try:
        wanted = found.changed_to(enabled=args.enable, threshold=args.threshold, amount=args.amount)
    except VideoDBConfigError:
        raise VideoDBConfigError(
            "Automatic recharge needs a threshold and an amount above 0 credits, but the account has none stored. "
            "Nothing was changed. Next step: give --threshold and --amount."
        ) from None
    if wanted == found:
        say(["Automatic recharge has these settings already. Nothing was changed."])
        _print(args, found, pipelines)
        return
    say(["Now:", *describe_recharge(found, pipelines, args.conn_id)])
    if pipelines:
        say(["The last one will see your change, and will not overwrite it.", ""])
    confirm(args, f"Change it to {_in_short(wanted)}?")
    try:
        changed = hook.set_auto_recharge(enabled=args.enable, threshold=args.threshold, amount=args.amount)
    except (KeyboardInterrupt, *OUTCOME_UNKNOWN_ERRORS) as err:
        why = without_next_step(str(err)) or "The command was stopped during its request."
        raise VideoDBOutcomeUnknownError(
            f"{why} So it is unknown whether the settings changed. Next step: see them with "
            f"`{program_of(args)} recharge --conn-id {args.conn_id}`."
        ) from None
    _print(args, changed, pipelines)


def pipelines_of(credit_account: str) -> list[str]:
    """Return the setup tasks that need automatic recharge now."""
    store = DatabaseStore()
    keys = store.list(account_prefix(account_part(credit_account))).keys
    view = RechargeView(tuple(flag for key in keys if (flag := parse_key(key)) is not None))
    found = [Identity.from_text(store.read(flag.key)) for flag in view.needs]
    return sorted("a task that the record does not name" if who is None else str(who) for who in found)


def _print(args: Namespace, settings: AutoRecharge, pipelines: list[str]) -> None:
    if args.output == "json":
        print_json({"conn_id": args.conn_id, **settings.to_dict(), "pipelines": pipelines})
    else:
        print_lines(describe_recharge(settings, pipelines, args.conn_id))


def _in_short(settings: AutoRecharge) -> str:
    if not settings.enabled:
        return "off"
    return f"on, {settings.amount} credits below {settings.threshold}"
