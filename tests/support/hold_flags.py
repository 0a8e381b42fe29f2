"""The flags of credit holds in Airflow's database, as a test sees and changes them."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

from airflow_provider_videodb.holds import journal
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.records import PREFIX, Flag, Kind, parse_key


def flags_in_database() -> list[Flag]:
    """Return all flags."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        keys = session.scalars(select(Variable.key).where(Variable.key.startswith(PREFIX))).all()
    return [flag for key in sorted(keys) if (flag := parse_key(key)) is not None]


def flag_of_another(
    kind: Kind, credits: float, *, ms: int | None = None, holder: str = "another.-1", priority: int = 0
) -> Flag:
    """
    Return a flag of another pipeline on the account of `videodb_default`.

    :param ms: see `Kind`; a minute ago by default.
    """
    return Flag(
        account="videodb_default",
        holder=holder,
        try_id="try",
        kind=kind,
        credits=Decimal(str(credits)),
        ms=int(time.time() * 1000) - 60_001 if ms is None else ms,
        priority=priority,
    )


def put_flag(flag: Flag) -> Flag:
    """Put up a flag. Its value names no DAG run, so nobody can find out that its holder has ended."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Variable(key=flag.key, val="{}"))
    return flag


def drop_flag(flag: Flag) -> None:
    """Take down a flag."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key == flag.key))


def add_flag(flag: Flag) -> None:
    """Record a flag that nobody described."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Variable(key=flag.key, val="{}"))


def remove_flags(kind: Kind) -> None:
    """Delete all flags of a kind."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    keys = [flag.key for flag in flags_in_database() if flag.kind is kind]
    with create_session() as session:
        # SQLAlchemy 1.4 cannot evaluate this condition on the objects of the session.
        gone = delete(Variable).where(Variable.key.in_(keys))
        session.execute(gone, execution_options={"synchronize_session": False})


def raise_flag(
    kind: Kind,
    credits: str,
    *,
    account: str = "videodb_default",
    dag_id: str = "nightly",
    run_id: str = "manual__1",
    task_id: str = "credits",
    map_index: int = -1,
    ms: int | None = None,
    ago: int = 0,
    priority: int = 0,
    try_id: str = "0123456789ab",
    settlement_ms: int = 20 * 60_000,
) -> Flag:
    """
    Put up a flag whose value says who it is, as a gate does.

    :param ms: milliseconds since 1970.
    :param ago: milliseconds before now, unless ``ms`` is given.
    """
    from airflow_provider_videodb.overview.database import DatabaseStore

    who = Identity(
        dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, try_number=1, settlement_ms=settlement_ms
    )
    flag = Flag(
        account=account,
        holder=who.holder,
        try_id=try_id,
        kind=kind,
        credits=Decimal(credits),
        ms=int(time.time() * 1000) - ago if ms is None else ms,
        priority=priority,
    )
    DatabaseStore().write(flag.key, who.to_text(kind=kind.name.lower()))
    return flag


def notes_in_database() -> list[dict[str, Any]]:
    """Return what each note of the journal says, the oldest first."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        notes = session.scalars(select(Variable).where(Variable.key.startswith(journal.PREFIX))).all()
        return [json.loads(note.get_val()) for note in sorted(notes, key=lambda note: note.key)]
