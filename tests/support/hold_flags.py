"""The flags of credit holds in Airflow's database, as a test sees and changes them."""

from __future__ import annotations

from airflow_provider_videodb.holds.rules.records import PREFIX, Flag, parse_key


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
