"""An account with somebody who holds, somebody who settles, and two who wait."""

from __future__ import annotations

from decimal import Decimal

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import Flag, Kind

NOW = 1_795_564_800_000
MINUTE = 60_000


def identity(dag_id: str, map_index: int = -1) -> Identity:
    return Identity(dag_id=dag_id, run_id="r", task_id="t", map_index=map_index, try_number=2, settlement_ms=0)


def flag(
    dag_id: str, kind: Kind, credits: str, ms: int, *, account: str = "a", priority: int = 0, map_index: int = -1
) -> Flag:
    return Flag(
        account=account,
        holder=identity(dag_id, map_index).holder,
        try_id="t",
        kind=kind,
        credits=Decimal(credits),
        ms=ms,
        priority=priority,
    )


HELD = flag("held", Kind.HELD, "12.5", NOW - 5 * MINUTE, map_index=3)
SETTLING = flag("settling", Kind.RELEASED, "7", NOW + MINUTE)
SETTLED = flag("settled", Kind.RELEASED, "7", NOW)
FIRST = flag("first", Kind.WAITING, "50", NOW - 40 * MINUTE)
URGENT = flag("urgent", Kind.WAITING, "20", NOW - MINUTE, priority=5)
OTHER = flag("other", Kind.HELD, "1", NOW, account="b")
WHO = {
    HELD: identity("held", 3),
    SETTLING: identity("settling"),
    FIRST: identity("first"),
    URGENT: identity("urgent"),
    OTHER: None,
}


def view(*flags: Flag) -> View:
    return View(flags=flags, listed_at=NOW)
