"""What all commands share."""

from __future__ import annotations

import json
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow.utils.cli import action_cli

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.hooks.log_page import lines_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable
    from typing import NoReturn

#: The statuses of all commands. 0 means that the command did what it was asked to.
FAILED, MISUSED = 1, 2
_YES = frozenset({"y", "yes"})


def command(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Turn our errors and Ctrl-C into exit status 1."""

    @wraps(function)
    def run(args: Namespace) -> None:
        try:
            function(args)
        except VideoDBError as err:
            say(lines_of(str(err)))
            sys.exit(FAILED)
        except KeyboardInterrupt:
            sys.stderr.write("\nStopped. Nothing was changed.\n")
            sys.exit(FAILED)

    return run


def audited(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Note a change in Airflow's audit log."""
    noted: Callable[[Namespace], None] = action_cli(function)  # type: ignore[no-untyped-call]  # not typed there
    return noted


def refuse(text: str) -> NoReturn:
    """End with status 2, because an argument is wrong."""
    say(lines_of(f"error: {text}. Nothing was changed."))
    sys.exit(MISUSED)


def confirm(args: Namespace, question: str) -> None:
    """
    Ask a person, unless ``--yes`` was given.

    A person who answers no ends the command.

    The question goes to stderr, so that stdout has the result alone.
    """
    if args.yes:
        return
    # Python has no stdin at all if it was closed.
    if sys.stdin is None or not sys.stdin.isatty():
        refuse("this command asks before it acts, and there is no terminal to ask in; give --yes to act without asking")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in _YES:
        sys.stderr.write("Nothing was changed.\n")
        sys.exit(FAILED)


def program_of(args: Namespace) -> str:
    """Return the program's name, as a person types it."""
    return str(getattr(args, "program", "airflow videodb"))


def say(lines: Iterable[str]) -> None:
    """Print lines on stderr, before a person decides."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def print_lines(lines: Iterable[str]) -> None:
    """Print the result for people."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def print_json(value: Any) -> None:
    """Print the result for programs."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
