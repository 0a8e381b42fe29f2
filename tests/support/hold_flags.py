"""The flags of credit holds in Airflow's database, as a test sees and changes them."""

from __future__ import annotations

import time
from decimal import Decimal

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


def forget_holds() -> None:
    """Delete all flags and the journal."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key.startswith("videodb/")))


def put_flag(
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
    Put up a flag, as a gate would.

    :param ms: milliseconds since 1970.
    :param ago: milliseconds before now, unless ``ms`` is given.
    """
    from airflow_provider_videodb.cli.database import DatabaseStore

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
