"""The assertions that take more than a line."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

#: Requests take varying times to arrive, so two polls can arrive less than an interval apart.
_SURE_PART_OF_INTERVAL = 0.9


def assert_each_paid_once(reported: Sequence[str | None], paid: Sequence[str]) -> None:
    """
    Fail unless top-ups and payments match one to one.

    :param reported: the paid checkout that each top-up returned, ``None`` if it returned none.
    :param paid: the checkouts that VideoDB calls paid.
    """
    assert reported
    assert None not in reported
    assert sorted(map(str, reported)) == sorted(paid)


def assert_polls_are_shared(calls: Mapping[str, Sequence[datetime]], *, interval: float, triggerers: int) -> None:
    """
    Fail if a triggerer polls twice in an interval.

    :param calls: when the calls of each kind arrived, while only triggerers poll.
    :param interval: seconds between polls.
    """
    assert calls
    sure = timedelta(seconds=interval * _SURE_PART_OF_INTERVAL)
    for kind, arrivals in calls.items():
        assert arrivals, f"nobody sent {kind}"
        most = max(sum(first <= other < first + sure for other in arrivals) for first in arrivals)
        assert most <= triggerers, f"{most} calls {kind} within {sure}, by {triggerers} triggerers"
