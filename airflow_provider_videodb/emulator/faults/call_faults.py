"""The faults of calls: their checks, and which fault a call meets."""

from __future__ import annotations

import fnmatch
import itertools
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from airflow_provider_videodb.emulator.errors import InvalidValueError, NotFoundError
from airflow_provider_videodb.emulator.values import boolean_of, decimal_of, text_of, whole_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FaultKind = Literal[
    "refuse",
    "drop_before",
    "drop_after",
    "hang",
    "status",
    "html",
    "truncated",
    "redirect",
    "slow_body",
]

# These kinds carry the request out by default. For the fixed kinds the default cannot be changed.
_WORK_BY_DEFAULT = frozenset({"drop_after", "truncated", "slow_body"})
_FIXED_WORK = frozenset({"refuse", "drop_before", "drop_after", "slow_body"})
_ERROR_STATUSES = (400, 599)
_STATUSES: dict[FaultKind, tuple[int, int]] = {"redirect": (301, 308), "html": (200, 599)}
_BODILESS_STATUSES = (204, 304)
_MOST_TEXT = 1_000_000
_MOST_CALLS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    A fault, checked by `FaultBoard.add`.

    - ``refuse`` resets the connection before it reads the request.
    - ``drop_before`` reads the request and closes the connection.
    - ``drop_after`` carries the request out and closes the connection, so the response is lost.
    - ``hang`` holds the call for `seconds`, or until the fault is cleared. Then it responds if `work` is true, and
      closes the connection if not.
    - ``status`` responds with `status`, `headers` and `body`.
    - ``html`` responds with an HTML page and `status`, 200 by default.
    - ``redirect`` responds with `status`, 302 by default, and `location`.
    - ``truncated`` closes the connection after half of the body.
    - ``slow_body`` spreads the body over `seconds`, 1 by default.

    :param method: the HTTP method. None matches every method.
    :param path: a path, or a pattern with ``*``. None matches every API call, but no page.
    :param times: how many calls meet the fault. None keeps it until it is cleared.
    :param skip: how many matching calls pass before.
    :param work: whether the emulator carries the request out before it fails. By default only ``drop_after``,
        ``truncated`` and ``slow_body`` do.
    :param seconds: emulator time.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    skip: int = 0
    work: bool = False
    seconds: float | None = None
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    location: str = ""
    id: str = ""

    def matches(self, method: str, path: str, *, is_page: bool) -> bool:
        """Whether this fault is for the call."""
        if self.method not in (None, method):
            return False
        return not is_page if self.path is None else fnmatch.fnmatchcase(path, self.path)


class FaultFields(TypedDict, total=False):
    """The arguments of a fault; `retry_after` sets the Retry-After header."""

    method: str | None
    path: str | None
    times: int | None
    skip: int
    work: bool | None
    seconds: float | None
    status: int
    headers: dict[str, str]
    retry_after: str
    body: str | dict[str, Any]
    location: str


class FaultBoard:
    """The active faults. A call meets the oldest one that matches."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._faults: dict[str, Fault] = {}
        self._met: dict[str, int] = {}
        # A fault that is used up may still hold a call, so it stays here until it is cleared.
        self._uncleared: set[str] = set()

    def add(self, values: Mapping[str, Any]) -> Fault:
        """Check a fault, activate it and return it."""
        fault = fault_of(values, fault_id=f"fault-{next(self._numbers)}")
        self._faults[fault.id] = fault
        self._met[fault.id] = 0
        self._uncleared.add(fault.id)
        return fault

    def take(self, method: str, path: str, *, is_page: bool) -> Fault | None:
        """Return the fault that a call meets, and count it."""
        for fault in list(self._faults.values()):
            if not fault.matches(method, path, is_page=is_page):
                continue
            self._met[fault.id] += 1
            if self._met[fault.id] <= fault.skip:
                continue
            if fault.times is not None and self._met[fault.id] >= fault.skip + fault.times:
                del self._faults[fault.id]
            return fault
        return None

    def remove(self, fault_id: str) -> None:
        """Remove one fault and release the calls that it holds."""
        if fault_id not in self._uncleared:
            raise NotFoundError(f"no fault {fault_id}")
        self._uncleared.discard(fault_id)
        self._faults.pop(fault_id, None)

    def clear(self) -> None:
        """Remove every fault and release the calls that they hold."""
        self._faults.clear()
        self._uncleared.clear()

    def holds(self, fault_id: str) -> bool:
        """Whether this fault still holds its calls."""
        return fault_id in self._uncleared

    def left(self, fault: Fault) -> int | None:
        """Count the calls that an active fault still waits for. None means all."""
        return None if fault.times is None else fault.times - max(0, self._met[fault.id] - fault.skip)

    def all(self) -> list[Fault]:
        """Return the active faults, oldest first."""
        return list(self._faults.values())


def fault_of(values: Mapping[str, Any], *, fault_id: str) -> Fault:
    """Return the fault that checked `values` describe."""
    kind: Any = values.get("kind")
    if kind not in get_args(FaultKind):
        raise InvalidValueError(f"kind must be one of {', '.join(get_args(FaultKind))}, got {kind!r}")
    unknown = sorted(set(values) - set(_CHECKS) - {"kind", "retry_after"})
    if unknown:
        raise InvalidValueError(f"unknown fault field {', '.join(unknown)}; known are {', '.join(_CHECKS)}")
    given = {
        name: _CHECKS[name](name, value) for name, value in values.items() if name in _CHECKS and value is not None
    }
    given["work"] = _work(kind, given.get("work"))
    if "times" in values and values["times"] is None:
        given["times"] = None
    if values.get("retry_after") is not None:
        given["headers"] = {**given.get("headers", {}), "Retry-After": _header("retry_after", values["retry_after"])}
    _complete(kind, given)
    return Fault(kind=kind, id=fault_id, **given)


def _complete(kind: FaultKind, given: dict[str, Any]) -> None:
    """Apply the defaults and rules of one kind."""
    if kind == "redirect":
        given.setdefault("status", 302)
        if not given.get("location"):
            raise InvalidValueError("a redirect needs a location")
    if kind == "slow_body":
        given.setdefault("seconds", 1.0)
    if kind == "html":
        given.setdefault("status", 200)
    low, high = _STATUSES.get(kind, _ERROR_STATUSES)
    status = whole_of("status", given.get("status", 500), at_least=low, at_most=high)
    if kind == "html" and status in _BODILESS_STATUSES:
        raise InvalidValueError(f"status {status} cannot carry a page")


def _work(kind: FaultKind, wanted: bool | None) -> bool:  # noqa: FBT001 - a value being checked, not a switch
    default = kind in _WORK_BY_DEFAULT
    if wanted is not None and wanted != default and kind in _FIXED_WORK:
        raise InvalidValueError(f"{kind} always has work={str(default).lower()}")
    return default if wanted is None else wanted


def _header(name: str, value: object) -> str:
    text = text_of(name, value)
    if not (text.isascii() and text.isprintable()):
        raise InvalidValueError(f"{name} must be printable ASCII, because it is sent as a header")
    return text


def _headers(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidValueError(f"{name} must be an object of names and values")
    return {_header("header name", key): _header(str(key), item) for key, item in value.items()}


def _path(name: str, value: object) -> str:
    text = text_of(name, value)
    if not text.startswith(("/", "*")):
        raise InvalidValueError(f"{name} must start with / or *, got {text!r}")
    return text


def _body(name: str, value: object) -> str:
    if isinstance(value, dict):
        value = json.dumps(value)
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise InvalidValueError(f"{name} must be a string or an object of at most {_MOST_TEXT} characters")
    return value


_CHECKS: dict[str, Any] = {
    "method": lambda name, value: text_of(name, value).upper(),
    "path": _path,
    "times": partial(whole_of, at_least=1, at_most=_MOST_CALLS),
    "skip": partial(whole_of, at_least=0, at_most=_MOST_CALLS),
    "work": boolean_of,
    "seconds": lambda name, value: float(decimal_of(name, value)),
    "status": partial(whole_of, at_least=200, at_most=599),
    "headers": _headers,
    "body": _body,
    "location": _header,
}
