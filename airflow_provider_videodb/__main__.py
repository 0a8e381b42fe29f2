"""
The command ``python -m airflow_provider_videodb``.

Its commands are those that Airflow 3.2 and newer offers as ``airflow videodb``.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow.cli.cli_config import GroupCommand

from airflow_provider_videodb.cli.definition import get_videodb_cli_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.cli.cli_config import CLICommand


_PROGRAM = "python -m airflow_provider_videodb"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="See what VideoDB accounts have, use and buy, and who holds their credits."
    )
    parser.set_defaults(program=_PROGRAM)
    for group in get_videodb_cli_commands():
        if isinstance(group, GroupCommand):
            _add_commands(parser, group.subcommands)
    args = parser.parse_args(arguments)
    args.func(args)


def _add_commands(parser: argparse.ArgumentParser, commands: Iterable[CLICommand]) -> None:
    subparsers: Any = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for command in commands:
        added = subparsers.add_parser(command.name, help=command.help, description=command.description or command.help)
        if isinstance(command, GroupCommand):
            _add_commands(added, command.subcommands)
        else:
            for argument in command.args:
                argument.add_to_parser(added)
            added.set_defaults(func=command.func)


if __name__ == "__main__":
    main()
