"""
Declares the commands.

Airflow imports this file for each of its commands. So this file imports only modules that Airflow's command line has
imported already. The code of a command is loaded when the command runs.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow.cli.cli_config import CLICommand

_ROOM = "airflow_provider_videodb.cli"
_ARGUMENTS = "airflow_provider_videodb.cli.arguments"


def _argument(*flags: str, **options: Any) -> Arg:
    return Arg(flags, **options)  # type: ignore[no-untyped-call]  # Airflow does not type it


_OUTPUT = _argument(
    "-o", "--output", help="table for people, json for programs", choices=("table", "json"), default="table"
)
_ONE_ACCOUNT = _argument(
    "--account",
    help="only this account: the credit_account of its connections, by default the id of the connection",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_account"),
)
_ACCOUNT = _argument(
    "--account",
    help="the credit_account of the connection, by default the id of the connection. It may be left out if only one "
    "account has holds",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_account"),
)
_REASON = _argument(
    "--reason",
    help="why, in a few words. The records keep it",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_reason"),
    required=True,
)
_HOLD_ID = _argument("id", help="the ID that the list shows", nargs="?")
_DAG_ID = _argument("--dag-id", help="instead of an ID: the DAG of the gate")
_RUN_ID = _argument("--run-id", help="instead of an ID: its DAG run")
_TASK_ID = _argument("--task-id", help="instead of an ID: the task id of the gate")
_MAP_INDEX = _argument("--map-index", help="the map index of a mapped gate", type=int, default=-1)
_FOR = _argument(
    "--for",
    dest="duration",
    help="how long, such as 45m, 1h or 2d. Without it, the pause lasts until a person resumes the account",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_duration"),
)
_SINCE = _argument(
    "--since",
    help="show holds that ended after this: 2d, 12h, 2026-11-25 or 2026-11-25T18:00 (UTC). Default: 2d",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_since"),
    default="2d",
)


def _lazy(name: str, *, module: str = "commands") -> Callable[[Namespace], None]:
    load_and_run = lazy_load_command(f"{_ROOM}.{module}.{name}")

    def command(args: Namespace) -> None:
        # Airflow 3.2 logs to stdout while a command is imported, and its log lines would break the JSON.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)
        load_and_run(args)

    command.__name__ = name
    return command


_CONN_ID = _argument(
    "--conn-id",
    help="the Airflow connection of the account. Default: videodb_default. The API key is never an argument",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_conn_id"),
    default="videodb_default",
)
_YES = _argument("-y", "--yes", help="act without asking", action="store_true")
_LIMIT = _argument(
    "--limit",
    help="how many of the newest checkouts to show. Default: 20",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_limit"),
    default="20",
)
_DOLLARS = _argument("amount", help="whole US dollars", type=lazy_load_command(f"{_ARGUMENTS}.parse_amount"))
_AGAIN = _argument("--again", help="with --yes: buy although an open checkout has the same amount", action="store_true")
_NAMED_BY = ("dag", "run", "task")
_OF_MAP_INDEX = _argument("--map-index", help="the map index of a mapped task", type=int, default=-1)
_QUESTION_ID = _argument("id", help="the ID that the list of open questions shows", nargs="?")
_CHECKOUT = _argument(
    "--checkout",
    help="the id of the checkout that belongs to the task",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_checkout_id"),
)
_BUY = _argument("--buy", help="none of the checkouts belongs to the task, so it may buy", action="store_true")
_ENABLE = _argument("--enable", help="turn automatic recharge on, or change its figures", action="store_true")
_DISABLE = _argument("--disable", help="turn automatic recharge off", action="store_true")
_THRESHOLD = _argument(
    "--threshold",
    help="VideoDB recharges below this number of credits. Without it, the account's figure stays",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_figure"),
)
_CREDITS = _argument(
    "--amount",
    help="how many credits one recharge adds. Without it, the account's figure stays",
    type=lazy_load_command(f"{_ARGUMENTS}.parse_figure"),
)


def get_videodb_cli_commands() -> list[CLICommand]:
    """Return the commands that Airflow adds to its own."""
    return [
        GroupCommand(
            name="videodb",
            help="See what VideoDB accounts have, use and buy, and who holds their credits",
            subcommands=(
                *_account_commands(),
                GroupCommand(
                    name="holds",
                    help="See who holds and who waits for credits, free a hold, pause an account",
                    subcommands=_hold_commands(),
                ),
            ),
        )
    ]


def _account_commands() -> tuple[CLICommand, ...]:
    return (
        ActionCommand(
            name="balance",
            help="Show the credits of an account, and how many are available",
            description="Show the credits of an account, and how many are left after the reserve and the holds. "
            "VideoDB's balance shows spending 5 to 15 minutes late.",
            func=_lazy("balance", module="money_commands"),
            args=(_CONN_ID, _OUTPUT),
        ),
        ActionCommand(
            name="usage",
            help="Show what was used and bought this month, and what the limits leave",
            func=_lazy("usage", module="money_commands"),
            args=(_CONN_ID, _OUTPUT),
        ),
        ActionCommand(
            name="checkouts",
            help="List the newest checkouts, with their tasks, and with the links that tasks have shared",
            func=_lazy("checkouts", module="money_commands"),
            args=(_LIMIT, _CONN_ID, _OUTPUT),
        ),
        ActionCommand(
            name="topup",
            help="Make a checkout for whole US dollars, and print its link",
            description="Make a checkout for whole US dollars, and print its link. The limits of the connection apply. "
            "An account with a stored card may be charged at once.",
            func=_lazy("topup", module="topups"),
            args=(_DOLLARS, _YES, _AGAIN, _CONN_ID, _OUTPUT),
        ),
        _answer_command(),
        ActionCommand(
            name="recharge",
            help="Show automatic recharge, or turn it on or off",
            description="Show automatic recharge, or turn it on or off. VideoDB charges a stored card for it, and the "
            "limits of the connection do not apply.",
            func=_lazy("recharge", module="recharges"),
            args=(_ENABLE, _DISABLE, _THRESHOLD, _CREDITS, _YES, _CONN_ID, _OUTPUT),
        ),
    )


def _answer_command() -> CLICommand:
    names = (_argument(f"--{what}-id", help=f"instead of an ID: the {what} id of the task") for what in _NAMED_BY)
    return ActionCommand(
        name="answer",
        help="List the purchases with an unknown outcome, or resolve one",
        description="List the purchases with an unknown outcome, or resolve one. Name it by the ID that the list "
        "shows, or by --dag-id, --run-id and --task-id. The task applies the resolution when you clear it.",
        func=_lazy("answer", module="answers"),
        args=(_QUESTION_ID, _CHECKOUT, _BUY, *names, _OF_MAP_INDEX, _YES, _CONN_ID, _OUTPUT),
    )


def _hold_commands() -> tuple[CLICommand, ...]:
    return (
        ActionCommand(
            name="list",
            help="Show who holds credits, who waits for them, and what is paused",
            description="Show who holds credits, who waits for them, and what is paused. This reads Airflow's "
            "database. It neither calls VideoDB nor needs its API key.",
            func=_lazy("holds_list"),
            args=(_ONE_ACCOUNT, _OUTPUT),
        ),
        ActionCommand(
            name="release",
            help="Free the credits of one hold by hand",
            description="Free the credits of one hold by hand. Name it by the ID that the list shows, or by "
            "--dag-id, --run-id and --task-id. Its credits still count until the settlement time is over. The "
            "journal keeps your name and the reason. The job is not stopped.",
            func=_lazy("holds_release"),
            args=(_HOLD_ID, _DAG_ID, _RUN_ID, _TASK_ID, _MAP_INDEX, _REASON),
        ),
        ActionCommand(
            name="pause",
            help="Stop all gates of an account from opening",
            description="Stop all gates of an account from opening, for some time or until a person resumes it. "
            "Pipelines whose gate has opened continue. A second pause replaces the first.",
            func=_lazy("holds_pause"),
            args=(_ACCOUNT, _FOR, _REASON),
        ),
        ActionCommand(
            name="resume",
            help="End the pause of an account",
            func=_lazy("holds_resume"),
            args=(_ACCOUNT,),
        ),
        ActionCommand(
            name="journal",
            help="Show holds that have ended: their credits, their times, what was spent, and how they ended",
            description="Show holds that have ended: their credits, their times, what was spent, and how they "
            "ended. The journal keeps each for 30 days.",
            func=_lazy("holds_journal"),
            args=(_SINCE, _ONE_ACCOUNT, _OUTPUT),
        ),
    )
