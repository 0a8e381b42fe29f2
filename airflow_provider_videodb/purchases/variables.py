"""
Reads and writes Airflow Variables without guessing.

``Variable.get`` cannot tell a missing Variable from one that the API server could not read. Confusing them would make a
task buy again. ``Variable.set`` and ``Variable.delete`` only log a failure below Airflow 3.3. So this module talks to
the API server over the worker's channel, where a failure is an error.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The next step after Airflow failed.
CHECK_AIRFLOW = "Next step: check Airflow's API server and its database, then retry the task."
#: A Variable's key has this many characters at most.
_MAX_KEY = 250
#: A task asks its supervisor one question at a time, because ``dag.test()`` mixes up the responses to two of them.
ONE_QUESTION = threading.RLock()
#: A key becomes a part of a URL, so it holds these characters only.
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:+~-]+")
#: Airflow returns this many keys at a time at most.
_KEYS_PER_PAGE = 10_000


def read_variable(key: str) -> str | None:
    """
    Return a Variable of Airflow's database, ``None`` if it proves that there is none.

    :raises VideoDBRecordUnreadableError: if Airflow does not say.
    """
    value = _found(key)
    if value is None:
        _prove_absent(key)
    return value


def write_variable(key: str, value: str) -> None:
    """
    Write a Variable. Airflow has confirmed the write when this returns.

    :raises VideoDBRecordNotKeptError: if Airflow does not confirm it.
    """
    from airflow.sdk.execution_time.comms import PutVariable

    _change(PutVariable(key=key, value=value, description=None), f"could not write its Variable {key!r}")


def delete_variable(key: str) -> None:
    """
    Delete a Variable, if it exists.

    :raises VideoDBRecordNotKeptError: if Airflow does not confirm it.
    """
    from airflow.sdk.execution_time.comms import DeleteVariable

    _change(DeleteVariable(key=key), f"could not delete its Variable {key!r}")


def list_variables(prefix: str, *, offset: int = 0) -> tuple[tuple[str, ...], bool]:
    """
    Return the keys of Airflow's database that begin with ``prefix``, and whether these are all from ``offset`` on.

    One call is one query, so the keys are those of one moment. It needs Airflow 3.3.

    :raises VideoDBRecordUnreadableError: if Airflow does not say.
    """
    from airflow.sdk.execution_time.comms import (
        GetVariableKeys,  # type: ignore[attr-defined,unused-ignore]  # from 3.3 on
        VariableKeysResult,  # type: ignore[attr-defined,unused-ignore]  # from 3.3 on
    )

    try:
        page = ask_airflow(GetVariableKeys(prefix=prefix, limit=_KEYS_PER_PAGE, offset=offset))
    except Exception as err:
        raise _unreadable(f"could not list its Variables {prefix!r}", err) from err
    if not isinstance(page, VariableKeysResult):
        raise _unreadable(f"could not list its Variables {prefix!r}", page)
    return tuple(page.keys), len(page.keys) < _KEYS_PER_PAGE


def variable_key(prefix: str, *identity: str) -> str:
    """
    Return the name of a Variable, a different one for each identity.

    The name is readable if Airflow accepts it. An identity that is long or has odd characters becomes a hash.
    """
    # JSON keeps identities apart and can write half of a surrogate pair.
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    # A part may contain the separator, so two identities could look the same without the digest.
    parts = identity if len(identity) == 1 else (*identity, digest[:8])
    readable = "__".join((prefix, *parts))
    if len(readable) <= _MAX_KEY and _PLAIN_KEY.fullmatch(readable):
        return readable
    return f"{prefix}__{digest}"


def _found(key: str) -> str | None:
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, VariableResult

    try:
        found = ask_airflow(GetVariable(key=key))
    except Exception as err:
        raise _unreadable(f"could not read its Variable {key!r}", err) from err
    if isinstance(found, ErrorResponse) and found.error == ErrorType.VARIABLE_NOT_FOUND:
        return None
    if isinstance(found, VariableResult) and found.value is not None:
        return str(found.value)
    cause = found if isinstance(found, ErrorResponse) else "no value"
    raise _unreadable(f"could not read its Variable {key!r}", cause)


def _prove_absent(key: str) -> None:
    """
    Prove that a Variable does not exist.

    Airflow's API server also responds with 404 if it could not read the Variable.

    :raises VideoDBRecordUnreadableError: if the Variable may exist.
    """
    if VARIABLES_CAN_BE_LISTED:
        # Unlike a read, a listing fails when the database does.
        exists = key in _listed(key)
    else:
        # A database that just kept and returned another Variable could have returned this one.
        _prove_readable()
        exists = _found(key) is not None
        _prove_readable()
    if exists:
        raise _unreadable(f"could not read its Variable {key!r}", "it exists, but Airflow returned no value")


def _listed(prefix: str) -> Iterator[str]:
    offset, is_complete = 0, False
    while not is_complete:
        keys, is_complete = list_variables(prefix, offset=offset)
        yield from keys
        offset += len(keys)


def _prove_readable() -> None:
    name, value = f"videodb_probe__{uuid4().hex}", uuid4().hex
    write_variable(name, value)
    seen = _found(name)
    delete_variable(name)
    if seen != value:
        raise _unreadable("could not read a Variable that it just wrote", "not found")


def _change(message: Any, what: str) -> None:
    from airflow.sdk.execution_time.comms import OKResponse

    try:
        done = ask_airflow(message)
    except Exception as err:
        raise VideoDBRecordNotKeptError(store_failure(what, err)) from err
    # Airflow responds to a write with nothing and to a deletion with OK.
    if done is not None and not (isinstance(done, OKResponse) and done.ok):
        raise VideoDBRecordNotKeptError(store_failure(what, done))


def ask_airflow(message: Any) -> Any:
    """Send a message to the API server over the channel of this worker or triggerer, from any thread."""
    # With dag.test(), the channel is missing while another thread asks.
    with ONE_QUESTION:
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        if not hasattr(SUPERVISOR_COMMS, "start_reader"):
            return SUPERVISOR_COMMS.send(message)
    # A triggerer's channel tells the responses apart, and a slow one must not delay the polls of other accounts.
    return SUPERVISOR_COMMS.send(message)


def describe_cause(cause: object) -> str:
    """Describe an exception or a response of Airflow in 200 characters at most."""
    if isinstance(cause, Exception | str):
        return str(cause)[:200]
    error = getattr(cause, "error", None)
    return "an unexpected response" if error is None else str(error.value)


def store_failure(what: str, cause: object) -> str:
    """Return the text for a store that failed; ``what`` says how."""
    return (
        f"Airflow {what} ({describe_cause(cause)}). What the task did before may be recorded there, so it sent nothing "
        f"more to VideoDB. {CHECK_AIRFLOW}"
    )


def _unreadable(what: str, cause: object) -> VideoDBRecordUnreadableError:
    return VideoDBRecordUnreadableError(store_failure(what, cause))
