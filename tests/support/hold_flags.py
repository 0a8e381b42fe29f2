"""The flags of credit holds in Airflow's database, as a test sees and changes them."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_videodb.holds.journal import PREFIX as JOURNAL
from airflow_provider_videodb.holds.rules.records import PREFIX, Flag, Kind, parse_key


def flags_in_database() -> list[Flag]:
    """Return all flags."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        keys = session.scalars(select(Variable.key).where(Variable.key.startswith(PREFIX))).all()
    return [flag for key in sorted(keys) if (flag := parse_key(key)) is not None]


def forget_holds() -> None:
    """Delete all flags and the journal."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key.startswith("videodb/")))


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
        session.execute(delete(Variable).where(Variable.key.in_(keys)))


def journal_in_database() -> list[dict[str, Any]]:
    """Return all notes of holds that have ended, the oldest first."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(Variable).where(Variable.key.startswith(JOURNAL))).all()
        return [json.loads(note.val) for note in sorted(found, key=lambda note: note.key)]
