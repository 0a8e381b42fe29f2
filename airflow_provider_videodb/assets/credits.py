"""
Assets that change with an account's credits.

Airflow starts each DAG whose ``schedule`` names the asset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetWatcher

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.hooks.arguments import parse_seconds, parse_text
from airflow_provider_videodb.triggers._credit_levels import Kind, Line
from airflow_provider_videodb.triggers.credit_watch import CreditWatchTrigger

if TYPE_CHECKING:
    from datetime import timedelta
    from decimal import Decimal

#: What is not part of an asset's name unless a DAG author changes it.
_POLL_INTERVAL = 60
_WARN_HOURS = 24


def credits_low(
    *,
    below: float | str | Decimal,
    warn_hours: float | None = _WARN_HOURS,
    back_at: float | str | Decimal | None = None,
    videodb_conn_id: str = "videodb_default",
    poll_interval: timedelta | float = _POLL_INTERVAL,
) -> Asset:
    """
    Return the asset that changes when credits are low.

    It changes once when the balance falls below the threshold, and again only after credits were back. Before that, it
    changes once as a warning, if the balance would fall below the threshold within ``warn_hours``. The forecast assumes
    that the next ``warn_hours`` use as many credits as the last ones did.

    The ``extra`` of the asset's event has a ``payload`` with ``level``, which is ``low`` or ``warning``.

    :param below: credits are low below this balance.
    :param warn_hours: how far ahead to warn; ``None`` turns the warning off.
    :param back_at: credits are back at this balance. It defaults to 10 % above the threshold.
    :param videodb_conn_id: id of the ``videodb`` connection.
    :param poll_interval: time between polls, in seconds or as a timedelta. Waits with the same interval share the poll.
    :raises VideoDBConfigError: if an argument breaks a rule.
    """
    line = Line.parse(below=below, back_at=back_at, warn_hours=warn_hours)
    return _asset(Kind.LOW, line, videodb_conn_id, poll_interval)


def credits_back(
    *,
    below: float | str | Decimal,
    back_at: float | str | Decimal | None = None,
    videodb_conn_id: str = "videodb_default",
    poll_interval: timedelta | float = _POLL_INTERVAL,
) -> Asset:
    """
    Return the asset that changes when credits are back.

    It changes once when the balance reaches ``back_at``, if it was below the threshold before.

    The ``extra`` of the asset's event has a ``payload`` with the ``level`` ``back``.

    :param below: credits are low below this balance.
    :param back_at: credits are back at this balance. It defaults to 10 % above the threshold.
    :param videodb_conn_id: id of the ``videodb`` connection.
    :param poll_interval: time between polls, in seconds or as a timedelta. Waits with the same interval share the poll.
    :raises VideoDBConfigError: if an argument breaks a rule.
    """
    line = Line.parse(below=below, back_at=back_at, warn_hours=None)
    return _asset(Kind.BACK, line, videodb_conn_id, poll_interval)


def _asset(kind: Kind, line: Line, conn_id: str, poll_interval: timedelta | float) -> Asset:
    conn_id, interval = parse_text("videodb_conn_id", conn_id), parse_seconds("poll_interval", poll_interval)
    below, back_at = to_json_number(line.below), to_json_number(line.back_at)
    # Airflow replaces the watcher at each parse if two DAG files give one asset different watchers.
    parts = [f"videodb_credits_{kind}", conn_id, f"{below}"]
    if line.back_at != Line.parse(below=line.below, back_at=None, warn_hours=None).back_at:
        parts.append(f"back_at_{back_at}")
    if line.warn_hours != (_WARN_HOURS if kind is Kind.LOW else None):
        parts.append("no_warning" if line.warn_hours is None else f"warn_{line.warn_hours:g}_h")
    if interval != _POLL_INTERVAL:
        parts.append(f"every_{interval:g}_s")
    name = ":".join(parts)
    trigger = CreditWatchTrigger(
        name=name,
        kind=str(kind),
        below=below,
        back_at=back_at,
        warn_hours=line.warn_hours,
        videodb_conn_id=conn_id,
        poll_interval=interval,
    )
    return Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])
