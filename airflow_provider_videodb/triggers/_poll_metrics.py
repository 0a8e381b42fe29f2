"""
Counts waiting tasks and polls for the metrics.

It does so once per poll, not once per task.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_videodb import metrics
from airflow_provider_videodb.triggers._accounts import read_in_triggerer
from airflow_provider_videodb.triggers._gates import AccountView
from airflow_provider_videodb.triggers._poll import NO_RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_videodb.triggers._poll import PollResult
    from airflow_provider_videodb.triggers._shared_poll import PollKey


class PollKind(StrEnum):
    """What a poll reads."""

    BALANCE = "balance"
    CHECKOUTS = "checkouts"


class WaitKind(StrEnum):
    """
    What a task waits for.

    A task with an unpaid checkout also watches the balance, but counts once.
    """

    CREDITS = "credits"
    PAYMENT = "payment"


@contextmanager
def count_waiting(polls: Sequence[PollKey]) -> Iterator[None]:
    """
    Count one task while it waits in this triggerer.

    A task that waits in its worker is not counted. Each worker of a host would report its own task only.

    :param polls: the polls that it watches.
    """
    if polls[0].read_settings is not read_in_triggerer:
        yield
        return
    is_payment = any(poll.kind is PollKind.CHECKOUTS for poll in polls)
    key = polls[0].conn_id, WaitKind.PAYMENT if is_payment else WaitKind.CREDITS
    _waiting[key] += 1
    try:
        yield
    finally:
        _waiting[key] -= 1
        if not _waiting[key]:
            # No poll follows that could send the zero, and the last value would stay.
            del _waiting[key]
            _send_waiting(*key)


def record_tick(conn_id: str, kind: PollKind, result: PollResult) -> None:
    """
    Send what one tick of a poll shows.

    A failed poll sends no value that it did not read.
    """
    for wait in WaitKind:
        if (conn_id, wait) in _waiting:
            _send_waiting(conn_id, wait)
    if result is NO_RESULT:
        return
    metrics.send_later(metrics.POLLS, conn_id=conn_id, kind=kind)
    if result.error is not None:
        error = type(result.error).__name__
        metrics.send_later(metrics.POLL_FAILURES, conn_id=conn_id, kind=kind, error=error)
    elif isinstance(result.value, AccountView):
        _send_account(conn_id, result.value)


def _send_waiting(conn_id: str, kind: WaitKind) -> None:
    metrics.send_later(metrics.TASKS_WAITING, _waiting[conn_id, kind], conn_id=conn_id, kind=kind)


def _send_account(conn_id: str, account: AccountView) -> None:
    balance, view = account.usage.credit_balance, account.view
    metrics.send_later(metrics.BALANCE, balance, conn_id=conn_id)
    if view is None or not view.is_complete:
        return
    metrics.send_holds(
        conn_id,
        balance=balance,
        reserve=account.settings.credit_reserve,
        held=view.held,
        waiting=len(view.queue),
        later=True,
    )


#: Tasks that wait in this process, by connection and kind.
_waiting: Counter[tuple[str, WaitKind]] = Counter()
