"""Which faults are asked for, and which one a call meets. What a fault does on the wire is in `gateway`."""

from __future__ import annotations

import fnmatch
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from airflow_provider_videodb.emulator.account.values import boolean_of, decimal_of, text_of, whole_of
from airflow_provider_videodb.emulator.http.errors import InvalidValueError, NotFoundError

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

# Whether the work is done unless the caller says otherwise, and where the caller has no say.
_USUAL_WORK: dict[FaultKind, bool] = {
    "refuse": False,
    "drop_before": False,
    "drop_after": True,
    "hang": False,
    "status": False,
    "html": False,
    "truncated": True,
    "redirect": False,
    "slow_body": True,
}
_FIXED_WORK = frozenset({"refuse", "drop_before", "drop_after", "slow_body"})
_ERROR_STATUSES = (400, 599)
_STATUSES: dict[FaultKind, tuple[int, int]] = {"redirect": (301, 308), "html": (200, 599)}
_BODILESS_STATUSES = (204, 304)
_MOST_TEXT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    A fault as it was asked for; `FaultBoard.add` checks it.

    :param kind: ``refuse`` resets the connection, with no byte read as work and none answered. ``drop_before`` reads
        the request and closes. ``drop_after`` does the work and closes. ``hang`` holds the call for `seconds` of
        emulator time, or until cleared; then it answers if the work was done and closes if not. ``status`` answers
        `status` with `body` and `headers`. ``html`` answers a page with `status`, which is 200 unless given.
        ``truncated`` announces more bytes than it sends. ``redirect`` answers `status` to `location`. ``slow_body``
        answers, spread over `seconds`.
    :param method: the HTTP method it is for; None for all.
    :param path: a path or a pattern with ``*``; None for every API call, but not for the checkout pages.
    :param times: how many calls meet it; None until cleared.
    :param skip: how many matching calls pass unharmed first.
    :param work: whether the request is carried out before the fault shows; None takes what is usual for the kind.
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
        """Tell whether a call is one this fault is for."""
        if self.method not in (None, method):
            return False
        return not is_page if self.path is None else fnmatch.fnmatchcase(path, self.path)


class FaultFields(TypedDict, total=False):
    """The fields of `Fault` that a caller may give, plus `retry_after`: that header, sent as it is given."""

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
    """The faults in force, oldest first. A call meets the first one that matches and has uses left."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._faults: dict[str, Fault] = {}
        self._met: dict[str, int] = {}
        # Also those whose uses are spent: a call may still be held by one of them.
        self._uncleared: set[str] = set()

    def add(self, values: Mapping[str, Any]) -> Fault:
        """Put a fault up and return it with its id; raise `InvalidValueError` naming what is wrong."""
        fault = fault_of(values, fault_id=f"fault-{next(self._numbers)}")
        self._faults[fault.id] = fault
        self._met[fault.id] = 0
        self._uncleared.add(fault.id)
        return fault

    def take(self, method: str, path: str, *, is_page: bool) -> Fault | None:
        """Return the fault a call meets and count it as met."""
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
        """Take one fault down; the calls it holds are let go."""
        if fault_id not in self._uncleared:
            raise NotFoundError(f"no fault {fault_id}")
        self._uncleared.discard(fault_id)
        self._faults.pop(fault_id, None)

    def clear(self) -> None:
        """Take every fault down; the calls they hold are let go."""
        self._faults.clear()
        self._uncleared.clear()

    def holds(self, fault_id: str) -> bool:
        """Tell whether calls that met this fault are still held by it."""
        return fault_id in self._uncleared

    def all(self) -> list[Fault]:
        """Return the faults in force."""
        return list(self._faults.values())


def fault_of(values: Mapping[str, Any], *, fault_id: str) -> Fault:
    """Check `values`, the fields of `Fault` plus `retry_after`, and return the fault."""
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
    """Check what one kind alone needs."""
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
    usual = _USUAL_WORK[kind]
    if wanted is not None and wanted != usual and kind in _FIXED_WORK:
        raise InvalidValueError(f"{kind} always has work={str(usual).lower()}")
    return usual if wanted is None else wanted


def _header(name: str, value: object) -> str:
    text = text_of(name, value)
    if not (text.isascii() and text.isprintable()):
        raise InvalidValueError(f"{name} must be printable ASCII: it is sent as a header")
    return text


def _headers(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidValueError(f"{name} must be an object of names and values")
    return {_header("header name", key): _header(str(key), item) for key, item in value.items()}


def _method(name: str, value: object) -> str:
    return text_of(name, value).upper()


def _path(name: str, value: object) -> str:
    text = text_of(name, value)
    if not text.startswith(("/", "*")):
        raise InvalidValueError(f"{name} must start with / or *, got {text!r}")
    return text


def _count(name: str, value: object) -> int:
    return whole_of(name, value, at_least=1, at_most=1_000_000)


def _skip(name: str, value: object) -> int:
    return whole_of(name, value, at_least=0, at_most=1_000_000)


def _status(name: str, value: object) -> int:
    return whole_of(name, value, at_least=200, at_most=599)


def _seconds(name: str, value: object) -> float:
    return float(decimal_of(name, value))


def _body(name: str, value: object) -> str:
    if isinstance(value, dict):
        value = json.dumps(value)
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise InvalidValueError(f"{name} must be a string or an object of at most {_MOST_TEXT} characters")
    return value


_CHECKS: dict[str, Any] = {
    "method": _method,
    "path": _path,
    "times": _count,
    "skip": _skip,
    "work": boolean_of,
    "seconds": _seconds,
    "status": _status,
    "headers": _headers,
    "body": _body,
    "location": _header,
}
