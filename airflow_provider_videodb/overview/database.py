"""
The records of holds in Airflow's metadata database.

The command line and the API server run without a task, where Airflow's database can be reached. They do not ask secrets
backends, because the records exist only as Variables in the database.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.models.crypto import get_fernet
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.holds.store import Listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Table
    from sqlalchemy.orm import Session

#: All keys that this store may touch begin with this.
_OURS = "videodb/"
#: SQLAlchemy 1.4 cannot write a column whose attribute of the class has another name.
_TABLE: Table = Variable.__table__
#: A database has a limit to the values of one query.
_RUNS_PER_QUERY = 500
_CHECK = "Next step: run `airflow db check`, then try again."


class DatabaseStore:
    """
    Reads and writes Variables directly in the database.

    A listing is one query, which also returns the values. So a later read shows the same moment.

    :param newest: how many keys a listing returns, from the end of the alphabet; ``None`` for all of them.
    """

    def __init__(self, *, newest: int | None = None) -> None:
        self._newest = newest
        self._rows: dict[str, Variable] = {}
        #: The team of each account, if Airflow runs with teams.
        self._teams: dict[str, set[str | None]] = {}

    def list(self, prefix: str, *, offset: int = 0) -> Listing:
        """Return the sorted keys with ``prefix``, from ``offset`` on."""
        with reading(f"list its Variables {prefix!r}") as session:
            found = select(Variable).where(Variable.key.startswith(_check(prefix), autoescape=True))
            if self._newest is not None:
                found = found.order_by(Variable.key.desc()).limit(self._newest)
            # SQLite and MySQL do not tell capitals apart in a prefix.
            rows = {row.key: row for row in session.scalars(found) if row.key.startswith(prefix)}
            session.expunge_all()
        self._rows |= rows
        for key, row in rows.items():
            self._teams.setdefault(_account(key), set()).add(getattr(row, "team_name", None))
        return Listing(tuple(sorted(rows)[offset:]), is_complete=True)

    def read(self, key: str) -> str | None:
        """Return the text; ``None`` if the database has none."""
        row = self._rows.get(key)
        if row is None:
            with reading(f"read its Variable {key!r}") as session:
                row = session.scalar(select(Variable).where(Variable.key == _check(key)))
                session.expunge_all()
        if row is None:
            return None
        text: str | None = row.get_val()  # type: ignore[no-untyped-call]  # Airflow does not type it
        if text is None:
            raise VideoDBRecordUnreadableError(
                f"Airflow could not decrypt its Variable {key!r}. Nothing was changed. Next step: give this "
                "program the Fernet key of the deployment."
            )
        return text

    def write(self, key: str, text: str) -> None:
        """Keep the text, and return after the commit."""
        fernet = get_fernet()
        values = {"val": fernet.encrypt(text.encode()).decode(), "is_encrypted": fernet.is_encrypted}
        team = self._team(key)
        with writing(f"write its Variable {key!r}") as session:
            changed = session.execute(update(_TABLE).where(_TABLE.c.key == _check(key)).values(values))
            if not changed.rowcount:  # type: ignore[attr-defined]  # the result of an update has it
                session.execute(insert(_TABLE).values({"key": key, **values, **team}))
        self._rows.pop(key, None)

    def delete(self, key: str) -> None:
        """Remove the key, if it exists."""
        with writing(f"delete its Variable {key!r}") as session:
            session.execute(delete(Variable).where(Variable.key == _check(key)))
        self._rows.pop(key, None)

    def _team(self, key: str) -> dict[str, str | None]:
        """
        Return the team of a new record.

        It is that of the account's other records. Otherwise the gates of the account would not see the record.
        """
        if not conf.getboolean("core", "multi_team", fallback=False):
            return {}
        teams = self._teams.get(_account(key), {None})
        if len(teams) > 1:
            raise VideoDBConfigError(
                f"The holds of account {_account(key)} belong to several teams of Airflow. Nothing was changed. "
                "Next step: give the connections of each team another credit_account."
            )
        return {"team_name": next(iter(teams))}


def read_run_states(runs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """
    Return the state of each existing DAG run.

    :param runs: pairs of DAG id and run id.
    """
    wanted = set(runs)
    run_ids = sorted({run_id for _, run_id in wanted})
    states = {}
    with reading("read its DAG runs") as session:
        for start in range(0, len(run_ids), _RUNS_PER_QUERY):
            some = DagRun.run_id.in_(run_ids[start : start + _RUNS_PER_QUERY])
            found = session.execute(select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(some))
            for dag_id, run_id, state in found:
                if (dag_id, run_id) in wanted:
                    states[dag_id, run_id] = str(getattr(state, "value", state))
    return states


def _check(key: str) -> str:
    if not key.startswith(_OURS):
        raise RuntimeError(f"This store may not touch {key!r}.")
    return key


def _account(key: str) -> str:
    return key.split("/")[2]


@contextmanager
def reading(what: str) -> Iterator[Session]:
    """
    Open a session to read.

    :param what: completes "Airflow's database could not …".
    :raises VideoDBRecordUnreadableError: if the database fails.
    """
    try:
        with create_session() as session:
            yield session
    except SQLAlchemyError as err:
        raise VideoDBRecordUnreadableError(_failure(what, err, "Nothing was changed.")) from None


@contextmanager
def writing(what: str) -> Iterator[Session]:
    """
    Open a session to write, and commit at the end.

    :param what: completes "Airflow's database could not …".
    :raises VideoDBRecordNotKeptError: if the database fails.
    """
    try:
        with create_session() as session:
            yield session
    except SQLAlchemyError as err:
        raise VideoDBRecordNotKeptError(_failure(what, err, "The command ended before it was done.")) from None


def _failure(what: str, err: SQLAlchemyError, state: str) -> str:
    # SQLAlchemy's text contains the statement and its values. The driver's text has only the cause.
    cause = " ".join(str(getattr(err, "orig", None) or type(err).__name__).split())[:200]
    return f"Airflow's database could not {what} ({cause}). {state} {_CHECK}"
