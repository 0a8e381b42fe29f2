"""Checks the commands that a page tells its reader to type, without running them."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[2]
_OPERATORS = frozenset({";", "&", "&&", "|", "||", "(", ")"})
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def commands_of_console(text: str) -> str:
    """Return what is typed in a console block, which also shows what is printed."""
    lines = text.replace("\\\n", " ").splitlines()
    return "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))


def check_commands(text: str) -> None:
    """Fail for a command that does not exist, or that would refuse its arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for is_operator, words in groupby(lexer, _OPERATORS.__contains__):
            if not is_operator:
                _check_command(list(words))


def _check_command(words: list[str]) -> None:
    while words and (assigned := _ASSIGNMENT.fullmatch(words[0])):
        check_variable(*assigned.groups())
        words = words[1:]
    if words:
        program, *arguments = words
        assert program in _PROGRAMS, f"cannot check {program!r}. Add it to tests/support/commands.py, or say why not"
        _PROGRAMS[program](arguments)


def check_variable(name: str, value: str) -> None:
    """Fail for a variable of Airflow that Airflow would not read, or not accept."""
    if name.startswith("AIRFLOW_CONN_"):
        _check_connection(name, value)
    elif name.startswith("AIRFLOW__"):
        _, section, key = name.lower().split("__", 2)
        check_option(section, key)


def check_option(section: str, key: str) -> None:
    """Fail for an option that this Airflow does not know."""
    from airflow.configuration import conf

    assert key in conf.configuration_description.get(section, {}).get("options", {}), f"no option [{section}] {key}"


def _check_connection(name: str, value: str) -> None:
    from airflow.models import Connection

    from airflow_provider_videodb.hooks.connection import ConnectionSettings

    if not value.startswith("$"):
        conn_id = name.removeprefix("AIRFLOW_CONN_").lower()
        is_json = value.startswith("{")
        connection = Connection.from_json(value, conn_id) if is_json else Connection(conn_id, uri=value)
        ConnectionSettings.from_connection(connection)


def _make(arguments: Sequence[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in arguments if "=" not in word} <= targets


def _airflow(arguments: Sequence[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    _parse(get_parser(), arguments)


def _python(arguments: Sequence[str]) -> None:
    option, module, *rest = arguments
    assert option == "-m", "only `python -m` can be checked"
    assert importlib.util.find_spec(module) is not None
    if module == "pip":
        _pip(rest)
    elif module == "airflow_provider_videodb.emulator":
        _emulator(rest)
    elif module == "airflow_provider_videodb":
        _airflow(["videodb", *rest])


def _emulator(arguments: Sequence[str]) -> None:
    from airflow_provider_videodb.emulator.__main__ import _parser

    _parse(_parser(), arguments)


def _docker(arguments: Sequence[str]) -> None:
    """Accept a command on a compose file of the repository, and on its services."""
    import yaml

    word, option, file, command, *rest = arguments
    assert (word, option, (ROOT / file).is_file()) == ("compose", "--file", True)
    assert command in ("up", "logs", "down")
    services = yaml.safe_load((ROOT / file).read_text())["services"]
    assert {name for name in rest if not name.startswith("-")} <= services.keys()


def _in_a_cell(arguments: Sequence[str]) -> None:
    """Accept a path into an environment that `make matrix` makes."""
    (path,) = arguments
    assert path.startswith((".nox/", "../bin/"))


def _pip(arguments: Sequence[str]) -> None:
    command, *words = arguments
    assert command == "install"
    after_option = {"-c", "--constraint", "-r", "--requirement", "-e", "--editable"}
    for before, word in zip([command, *words], words, strict=False):
        if not word.startswith("-") and before not in after_option:
            _check_requirement(word)


def _check_requirement(word: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # A dot is the clone that a reader is in.
    requirement = Requirement(f"{project['name']}{word[1:]}" if word.startswith(".") else word)
    if requirement.name == project["name"]:
        assert requirement.extras <= project["optional-dependencies"].keys()


def _export(arguments: Sequence[str]) -> None:
    for word in arguments:
        assigned = _ASSIGNMENT.fullmatch(word)
        assert assigned, f"export {word} assigns nothing"
        check_variable(*assigned.groups())


def _parse(parser: ArgumentParser, arguments: Sequence[str]) -> None:
    try:
        parser.parse_args(arguments)
    except SystemExit as refused:
        if refused.code:
            raise AssertionError(f"the command refuses: {shlex.join(arguments)}") from refused


_PROGRAMS: dict[str, Callable[[Sequence[str]], None]] = {
    ".": _in_a_cell,
    "airflow": _airflow,
    "cd": _in_a_cell,
    "docker": _docker,
    "export": _export,
    "make": _make,
    "pip": _pip,
    "python": _python,
    "videodb-emulator": _emulator,
}
