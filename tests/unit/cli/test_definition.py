"""What Airflow imports for each of its commands."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys

import pytest
from airflow.cli.cli_config import ActionCommand, GroupCommand

from airflow_provider_videodb.cli.definition import get_videodb_cli_commands
from airflow_provider_videodb.get_provider_info import get_provider_info


def hold_commands():
    (videodb,) = get_videodb_cli_commands()
    *_, holds = videodb.subcommands
    return {command.name: command for command in holds.subcommands}


def account_commands():
    (videodb,) = get_videodb_cli_commands()
    *commands, _ = videodb.subcommands
    return {command.name: command for command in commands}


def test_group_is_named_by_the_provider_info():
    (path,) = get_provider_info()["cli"]
    assert path == f"{get_videodb_cli_commands.__module__}.{get_videodb_cli_commands.__name__}"
    (videodb,) = get_videodb_cli_commands()
    assert isinstance(videodb, GroupCommand)
    assert videodb.name == "videodb"


def test_all_commands_are_there():
    assert set(hold_commands()) == {"list", "release", "pause", "resume", "journal"}
    assert set(account_commands()) == {"balance", "usage", "checkouts", "topup", "answer", "recharge"}


ALL_COMMANDS = [*hold_commands().values(), *account_commands().values()]


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=lambda command: command.name)
def test_command_has_help_that_every_parser_can_print(command):
    assert isinstance(command, ActionCommand)
    assert command.func.__name__ in {f"holds_{command.name}", command.name}
    parser = argparse.ArgumentParser()
    for argument in command.args:
        argument.add_to_parser(parser)
        assert argument.kwargs["help"]
        # Airflow prints help with rich, which takes brackets for markup.
        assert "[" not in argument.kwargs["help"]
    assert parser.format_help()


def test_log_of_airflow_does_not_stand_in_the_output(holds, monkeypatch):
    """Airflow 3.2 logs to stdout what a command imports."""
    handler = logging.StreamHandler(sys.stdout)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    holds("list")
    assert handler.stream is sys.stderr


def test_definition_loads_nothing_that_airflows_command_line_has_not_loaded():
    code = """
import json, sys
import airflow.cli.cli_config
before = set(sys.modules)
import airflow_provider_videodb.cli.definition as definition
definition.get_videodb_cli_commands()
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(result.stdout.splitlines()[-1])) - {"airflow_provider_videodb"}
    assert loaded == {"airflow_provider_videodb.cli", "airflow_provider_videodb.cli.definition"}
