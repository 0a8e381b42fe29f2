"""The command ``videodb-emulator``, also ``python -m airflow_provider_videodb.emulator``."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_videodb import __version__
from airflow_provider_videodb.emulator.account.accounts import DEFAULT_ACCOUNT, Accounts, account_key
from airflow_provider_videodb.emulator.account.calls import Callback
from airflow_provider_videodb.emulator.control.account import Account
from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.pages.views import amount_of
from airflow_provider_videodb.emulator.server import EVERYWHERE, LOOPBACK, serve
from airflow_provider_videodb.emulator.settings import Dialect, Idempotency, OnShortage, Settings
from airflow_provider_videodb.emulator.values import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.emulator.account.calls import Call

_LARGEST_PORT = 65535
# Settings with a value: the placeholder or the choices, and the help.
_VALUES: dict[str, tuple[str | tuple[str, ...], str]] = {
    "credits": ("CREDITS", "balance at the start"),
    "api_key": ("KEY", "API key; the key of each --account is this one with -NAME"),
    "dialect": (get_args(Dialect), "form of the responses: VideoDB's OpenAPI document, or its sample code"),
    "pay_after": ("SECONDS", "time until the emulator pays a checkout itself (default: never)"),
    "checkout_ttl": (
        "SECONDS",
        "time until an unpaid checkout expires; below one day the operators fail, because VideoDB never does that",
    ),
    "usage_lag": ("SECONDS", "time until a change appears in the usage figures"),
    "list_lag": ("SECONDS", "time until a new checkout appears in the list"),
    "credits_per_dollar": ("CREDITS", "credits that one paid dollar adds"),
    "idempotency": (get_args(Idempotency), "whether purchases honour the Idempotency-Key header"),
    "price_index": ("CREDITS", "price per indexing job (default: by the minute or by the scene)"),
    "price_speech_minute": ("DOLLARS", "price per started minute of indexed speech"),
    "price_scene": ("DOLLARS", "price per indexed scene"),
    "index_duration": ("SECONDS", "time that an indexing job takes; never keeps it at 0 %%"),
    "upload_duration": ("SECONDS", "time that an upload takes; an upload of 0 seconds is not a job"),
    "response_ttl": ("SECONDS", "time after the end of a job until its async response is gone (default: never)"),
    "on_shortage": (
        get_args(OnShortage),
        "without enough credits, refuse an indexing job with 402, or accept it and let it fail",
    ),
}
# Settings that a flag switches: the flag, the value that it sets, and the help.
_SWITCHES = {
    "charge_stored_card": ("--charge-stored-card", True, "charge the stored card for a top-up at once"),
    "stored_card": ("--no-stored-card", False, "have no payment method, so that auto-recharge does nothing"),
}
# Settings with names of hosts: the flag, the setting, and the help.
_HOST_NAMES = (
    ("--allowed-host", "allowed_hosts", "another name by which callers may reach the emulator"),
    ("--callback-host", "callback_hosts", "another host to which the callback_url of a job may lead"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the emulator until a signal stops it."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    host, port, named = options.pop("host"), options.pop("port"), options.pop("accounts")
    if not 0 <= port <= _LARGEST_PORT:
        parser.error(
            f"--port must be between 0 and {_LARGEST_PORT}, got {port}. Nothing was started. "
            "Next step: leave --port out, or use 0 for a free port."
        )
    try:
        accounts = _accounts(options, named)
    except InvalidValueError as error:
        parser.error(f"{error}. Nothing was started. Next step: correct the option; --help lists all.")
    # uvicorn raises SIGTERM again after its shutdown. The command then ends with status 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(accounts, host=host, port=port, announce=lambda: _say(_greeting(accounts, host=host)))
    except KeyboardInterrupt:
        _say("\nStopped.")
    except OSError as error:
        sys.exit(
            f"Cannot listen on {host}:{port}: {error.strerror}. Nothing was started.\n"
            "Next step: choose another --port, or use --port 0 for a free one."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="videodb-emulator",
        usage="%(prog)s [OPTION ...]",
        description=f"Runs a local VideoDB on {LOOPBACK}. It keeps accounts and takes no money.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--port", type=int, default=8765, help="port; 0 selects a free one (default: %(default)s)")
    parser.add_argument(
        "--host",
        choices=(LOOPBACK, EVERYWHERE),
        default=LOOPBACK,
        help=f"address to listen on; {EVERYWHERE} is for a container, because it needs no key to control the emulator "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--account",
        dest="accounts",
        metavar="NAME=CREDITS",
        action="append",
        default=[],
        help="an account with its balance at the start, instead of the only account; may be repeated",
    )
    for name, (form, text) in _VALUES.items():
        default = getattr(Settings, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=form if isinstance(form, str) else None,
            choices=None if isinstance(form, str) else form,
            default=argparse.SUPPRESS,
            help=text if default is None else f"{text} (default: {default})",
        )
    for flag, dest, text in _HOST_NAMES:
        parser.add_argument(
            flag,
            dest=dest,
            metavar="NAME",
            action="append",
            default=argparse.SUPPRESS,
            help=f"{text}, besides {LOOPBACK} and localhost; may be repeated",
        )
    for name, (flag, value, text) in _SWITCHES.items():
        parser.add_argument(flag, dest=name, action="store_const", const=value, default=argparse.SUPPRESS, help=text)
    return parser


def _accounts(options: dict[str, Any], named: Sequence[str]) -> Accounts:
    """Open the account of the options, or those that ``--account`` names."""
    accounts = Accounts(report=lambda call: _say(_line(call, several=len(accounts) > 1)))
    if named and "credits" in options:
        raise InvalidValueError("--credits is for the only account, so it must not be used with --account")
    settings = Settings.create(options)
    for text in named:
        name, found, credits = text.partition("=")
        if not found or not credits.strip():
            raise InvalidValueError(f"--account must be NAME=CREDITS, got {describe(text)}")
        try:
            own = settings.changed({"credits": credits, "api_key": account_key(settings.api_key, name)})
            accounts.add(name, own)
        except InvalidValueError as error:
            raise InvalidValueError(f"--account {describe(text)}: {error}") from None
    if not named:
        accounts.add(DEFAULT_ACCOUNT, settings)
    return accounts


def _greeting(accounts: Accounts, *, host: str) -> str:
    several = len(accounts) > 1
    opened = [Account(state) for state in accounts]
    lines = ["VideoDB emulator (no money moves). Ctrl+C stops it.\n", f"  Base URL    {accounts.base_url}"]
    lines += [f"  API key     {each.api_key}{f'  (account {each.name})' if several else ''}" for each in opened]
    lines += [f"  Pay here    {accounts.base_url}/\n"]
    if host != LOOPBACK:
        lines += [f"It listens on {host}. Anybody who can reach the port controls it without a key.\n"]
    connections = "connections" if several else "connection"
    lines += [f"The Airflow {connections}, to paste into the shell that runs Airflow:\n"]
    lines += [
        f"  export AIRFLOW_CONN_VIDEODB_{each.name.upper()}={shlex.quote(each.connection_json)}" for each in opened
    ]
    return "\n".join(lines) + "\n"


def _line(call: Call | Callback, *, several: bool) -> str:
    if isinstance(call, Callback):
        failure = f"  failed: {call.failure}" if call.failure else ""
        account = f"  {call.account}" if several else ""
        return f"{call.at:%H:%M:%S}  {call.status or 'none'}  callback {call.url}  {call.job_id}{failure}{account}"
    fault = f"  fault {call.fault}" if call.fault else ""
    amount = f"  {amount_of(call)}" if amount_of(call) else ""
    account = f"  {call.account or 'unknown key'}" if several else ""
    return f"{call.at:%H:%M:%S}  {call.status or 'none'}  {call.method} {call.path}{amount}{fault}{account}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
