"""Describes unpaid purchases of tasks that do not wait now. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.overview.text import printable, to_iso_moment
from airflow_provider_videodb.overview.waits import Todo, Wait, describe_task
from airflow_provider_videodb.purchases.rules.resolution import resolution_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_videodb.overview.recorded import Question, RecordedPurchase
    from airflow_provider_videodb.overview.waits import AccountNow

#: Airflow starts a task in these states again only if a person clears it.
_ENDED = frozenset({"success", "failed", "skipped", "removed", "upstream_failed", None})


def describe_link(recorded: RecordedPurchase, account: AccountNow, *, now: datetime) -> dict[str, Any] | None:
    """
    Describe a link that can be paid while its task does not wait.

    A reminder, a lost worker and a retry each take a task out of its wait for a while.

    :return: JSON values as of :func:`describe_task`, with the task; ``None`` if nobody should pay the link.
    """
    if recorded.task is None or recorded.state in _ENDED or recorded.link(now=now) is None:
        return None
    described = describe_task(Wait(conn_id=None, purchase=recorded.purchase), account, now=now)
    if described["todo"] != Todo.PAY.value:
        return None
    state = printable(str(recorded.state))
    return described | {
        **recorded.task.to_dict(),
        "since": to_iso_moment(datetime.fromisoformat(recorded.purchase.posts[-1])),
        "why": f"{described['why']} Its state is {state} now, and the link stays valid.",
    }


def describe_unknown(question: Question, earlier: Mapping[str, str], *, now: datetime) -> dict[str, Any]:
    """
    Describe a purchase with an unknown outcome.

    :param earlier: the resolutions that people have written already.
    """
    resolution = earlier.get(resolution_variable(question.recorded.purchase))
    described = question.to_dict(resolution=None if resolution is None else printable(resolution), now=now)
    lines = [printable(line) for line in question.reason.splitlines() if line.strip()]
    return described | {"price": question.recorded.purchase.price, "reason": lines}
