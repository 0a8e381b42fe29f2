"""
Airflow's Variables, where a failure is never taken for an answer.

Airflow's own ``Variable.set`` and ``Variable.delete`` only log a failure below 3.3. Its API server says of a Variable
that it could not read what it says of one that is not there. A purchase must not rest on either.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longest key a Variable can have.
_MAX_KEY = 250
#: What a key may hold: it becomes a part of a URL.
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:+~-]+")
_KEYS_PER_PAGE = 1000


def read_variable(key: str) -> str | None:
    """
    Return a Variable of Airflow's database, ``None`` if it is proven that there is none.

    :raises VideoDBRecordUnreadableError: if Airflow could not tell.
    """
    value = _found(key)
    if value is None:
        _prove_absent(key)
    return value


def write_variable(key: str, value: str) -> None:
    """
    Write a Variable; when this returns, it is kept.

    :raises VideoDBRecordNotKeptError: if Airflow did not say so.
    """
    from airflow.sdk.execution_time.comms import PutVariable

    _change(PutVariable(key=key, value=value, description=None), f"could not write its Variable {key!r}")


def delete_variable(key: str) -> None:
    """
    Delete a Variable, if it is there.

    :raises VideoDBRecordNotKeptError: if Airflow did not say so.
    """
    from airflow.sdk.execution_time.comms import DeleteVariable

    _change(DeleteVariable(key=key), f"could not delete its Variable {key!r}")


def variable_key(prefix: str, *identity: str) -> str:
    """
    Return the name of a Variable, one for each identity.

    It is readable where Airflow can take it. What is long, or would mean something in a URL, gives way to its hash.
    """
    # JSON tells all identities apart, and writes half of a surrogate pair as text.
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    # Parts may hold the separator, so that two identities could read the same.
    parts = identity if len(identity) == 1 else (*identity, digest[:8])
    readable = "__".join((prefix, *parts))
    if len(readable) <= _MAX_KEY and _PLAIN_KEY.fullmatch(readable):
        return readable
    return f"{prefix}__{digest}"


def _found(key: str) -> str | None:
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, VariableResult

    try:
        found = _ask(GetVariable(key=key))
    except Exception as err:
        raise VideoDBRecordUnreadableError(_failure(f"could not read its Variable {key!r}", err)) from err
    if isinstance(found, ErrorResponse) and found.error == ErrorType.VARIABLE_NOT_FOUND:
        return None
    if isinstance(found, VariableResult) and found.value is not None:
        return str(found.value)
    reason = found.error.value if isinstance(found, ErrorResponse) else "no value"
    raise VideoDBRecordUnreadableError(_failure(f"could not read its Variable {key!r}", reason))


def _prove_absent(key: str) -> None:
    """
    Tell a Variable that is not there from one that could not be read: Airflow's API server answers 404 to both.

    :raises VideoDBRecordUnreadableError: if it may be there.
    """
    if VARIABLES_CAN_BE_LISTED:
        # Unlike a read, a listing fails where the database does.
        is_there = key in _listed(key)
    else:
        # A database that has just kept a Variable and shown it again could have shown this one.
        _prove_readable()
        is_there = _found(key) is not None
        _prove_readable()
    if is_there:
        raise VideoDBRecordUnreadableError(_failure(f"could not read its Variable {key!r}", "but it is there"))


def _listed(prefix: str) -> Iterator[str]:
    from airflow.sdk.execution_time.comms import (
        GetVariableKeys,  # type: ignore[attr-defined,unused-ignore]  # from 3.3 on
        VariableKeysResult,  # type: ignore[attr-defined,unused-ignore]  # from 3.3 on
    )

    offset = 0
    while True:
        try:
            page = _ask(GetVariableKeys(prefix=prefix, limit=_KEYS_PER_PAGE, offset=offset))
        except Exception as err:
            raise VideoDBRecordUnreadableError(_failure(f"could not list its Variables {prefix!r}", err)) from err
        if not isinstance(page, VariableKeysResult):
            raise VideoDBRecordUnreadableError(_failure(f"could not list its Variables {prefix!r}", "no list"))
        yield from page.keys
        offset += len(page.keys)
        if len(page.keys) < _KEYS_PER_PAGE:
            return


def _prove_readable() -> None:
    name, value = f"videodb_probe__{uuid4().hex}", uuid4().hex
    write_variable(name, value)
    seen = _found(name)
    delete_variable(name)
    if seen != value:
        raise VideoDBRecordUnreadableError(_failure("could not read a Variable that it has just written", "not found"))


def _change(message: Any, failure: str) -> None:
    from airflow.sdk.execution_time.comms import OKResponse

    try:
        done = _ask(message)
    except Exception as err:
        raise VideoDBRecordNotKeptError(_failure(failure, err)) from err
    # Airflow answers a write with nothing and a deletion with OK.
    if done is not None and not (isinstance(done, OKResponse) and done.ok):
        raise VideoDBRecordNotKeptError(_failure(failure, done))


def _ask(message: Any) -> Any:
    """Ask the API server over the worker's channel, where a failure is an error and never only a line in the log."""
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return SUPERVISOR_COMMS.send(message)


def _failure(what: str, why: object) -> str:
    return (
        f"Airflow {what} ({str(why)[:200]}), which may say what was bought before. Nothing more was bought. Check "
        "Airflow's API server and its database, then retry the task."
    )
