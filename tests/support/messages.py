"""The texts that a user of this package can read, taken from its source."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_provider_videodb
from airflow_provider_videodb import exceptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGE = Path(airflow_provider_videodb.__file__).parent
#: Errors whose text a user reads.
ERRORS = frozenset(
    {name for name, value in vars(exceptions).items() if isinstance(value, type) and issubclass(value, Exception)}
    | {"AirflowSensorTimeout", "AirflowFailException", "ArgumentTypeError"}
)
#: Functions of ours that receive the whole text of an error.
TAKE_TEXT = frozenset({"_error", "error_text", "_try_over", "_refuse", "refuse", "_Broken", "_not_yet", "error"})
#: Functions of ours that return the whole text of an error. Their ``return`` statements have the texts.
RETURN_TEXT = frozenset(
    {"store_failure", "_failure", "_post_without_outcome", "withheld", "_withheld", "_refuse", "describe_wait"}
    | {"describe_note", "describe_open_payment"}
)
#: The text of another error, or one that its caller has written.
PASSED_ON = frozenset({"str(err)", "message", "redacted"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOGS = frozenset({"warning", "error", "exception"})
#: Stands for a value.
VALUE = "\x00"
#: A sentence after a value. The value is another text, which has the first line.
_BEGINS_WITH_ANOTHER = re.compile(rf"{VALUE} ?[A-Z][a-z ]")
_END_OF_SENTENCE = re.compile(rf"(?<=[.…])(?=\s|{VALUE})|\n")


@dataclass(frozen=True)
class Message:
    """
    One text of the source.

    :param text: its first sentence, with :data:`VALUE` for each value.
    :param where: file and line.
    """

    text: str
    where: str = field(compare=False)

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the text looks like with its values."""
        return re.compile("(.+?)".join(map(re.escape, self.text.split(VALUE))))


def first_sentence(text: str) -> str:
    """Return what a user reads first."""
    return _END_OF_SENTENCE.split(text.lstrip(), maxsplit=1)[0].strip()


def messages_of(source: str, where: str) -> Iterator[Message]:
    """Return the messages of one module, the first line of each."""
    tree = ast.parse(source)
    constants = _texts_of_names(tree)
    for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS))]:
        names = constants | ({} if function is tree else _texts_of_names(function))
        yield from _messages_of_function(function, names, where)


def package_messages() -> set[Message]:
    """Return all messages of the package, without those of the emulator."""
    found: set[Message] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.parts[0] != "emulator":
            found.update(messages_of(path.read_text(), str(place)))
    return found


def log_formats() -> Iterator[str]:
    """Return the formats of all log lines of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=log, attr=level), args=[ast.Constant(value=str(line)), *_]):
                    if level in _LOGS | {"info"} and "log" in ast.unparse(log):
                        yield line


def _messages_of_function(function: ast.AST, names: dict[str, set[str]], where: str) -> Iterator[Message]:
    for node in _own_nodes(function):
        given: ast.expr | None = None
        if isinstance(node, ast.Call) and (name := _name(node.func)) in ERRORS | TAKE_TEXT:
            given = _text_argument(node, names)
            if given is None and name in ERRORS and not _is_passed_on(node):
                raise AssertionError(f"{where}:{node.lineno}: the text of {name} cannot be read from the source")
        elif isinstance(node, ast.Return) and getattr(function, "name", "") in RETURN_TEXT:
            given = node.value.elts[0] if isinstance(node.value, ast.Tuple) and node.value.elts else node.value
        if given is not None:
            yield from _first_lines(given, names, f"{where}:{node.lineno}")
        for body in (getattr(node, part, []) for part in ("body", "orelse", "handlers", "finalbody")):
            if isinstance(body, list):
                yield from _logged(body, names, where)


def _logged(body: Sequence[ast.AST], names: dict[str, set[str]], where: str) -> Iterator[Message]:
    """Return the first line of each run of log lines."""
    goes_on = False
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) else None
        level = None if call is None else _level(call)
        if call is not None and level is not None and not goes_on:
            text = call.args[1] if _name(call.func) == "log_lines" else call.args[0]
            yield from _first_lines(text, names, f"{where}:{call.lineno}", is_format=True)
        goes_on = level is not None


def _level(call: ast.Call) -> str | None:
    function = call.args[0] if _name(call.func) == "log_lines" and call.args else call.func
    is_log = isinstance(function, ast.Attribute) and "log" in ast.unparse(function.value) and function.attr in _LOGS
    return function.attr if is_log and isinstance(function, ast.Attribute) else None


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Walk a function without the functions in it."""
    waiting = [function]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, _FUNCTIONS)]


def _text_argument(call: ast.Call, names: dict[str, set[str]]) -> ast.expr | None:
    keywords = [keyword.value for keyword in call.keywords if keyword.arg in {"reason", "happened"}]
    texts = [one for one in (*call.args, *keywords) if _spellings(one, names) != {VALUE}]
    return next(iter(texts), None)


def _is_passed_on(call: ast.Call) -> bool:
    given = call.args[0] if call.args else None
    called = _name(given.func) if isinstance(given, ast.Call) else ""
    return given is not None and (ast.unparse(given) in PASSED_ON or called in TAKE_TEXT | RETURN_TEXT)


def _first_lines(
    given: ast.expr, names: dict[str, set[str]], where: str, *, is_format: bool = False
) -> Iterator[Message]:
    for text in _spellings(given, names):
        shown = re.sub(r"%(\.\d+)?[srd]", VALUE, text) if is_format else text
        line = first_sentence(shown)
        if re.search(r"[a-z]{3}", line) and not _BEGINS_WITH_ANOTHER.match(line):
            yield Message(line, where)


def _spellings(node: ast.expr | None, names: dict[str, set[str]]) -> set[str]:
    """Return the ways in which an expression can be spelt, with :data:`VALUE` for each value."""
    ways = {VALUE}
    match node:
        case ast.Constant(value=str(text)):
            ways = {text}
        case ast.JoinedStr(values=values):
            ways = {"".join(parts) for parts in product(*(_spellings(value, names) for value in values))}
        case ast.FormattedValue(value=value, conversion=conversion):
            shown = _spellings(value, names)
            ways = {repr(way) if conversion == ord("r") and way != VALUE else way for way in shown}
        case ast.IfExp(body=body, orelse=orelse):
            ways = _spellings(body, names) | _spellings(orelse, names)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            ways = {"".join(parts) for parts in product(_spellings(left, names), _spellings(right, names))}
        case ast.Name(id=name) if name in names:
            ways = names[name]
    return ways


def _texts_of_names(scope: ast.AST) -> dict[str, set[str]]:
    """Return the texts that names are assigned in a scope."""
    texts: dict[str, set[str]] = {}
    nodes = scope.body if isinstance(scope, ast.Module) else list(_own_nodes(scope))
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    texts.setdefault(name.id, set()).update(_spellings(value, {}))
    return texts


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
