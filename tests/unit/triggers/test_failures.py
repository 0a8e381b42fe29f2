"""Which failures end a wait."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBGatewayError,
    VideoDBGatewayRateLimitError,
    VideoDBLimitExceededError,
    VideoDBNoConnectionError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.triggers._failures import FailureBudget, is_final

DOWN = VideoDBServerError("down")
SLOW_DOWN = VideoDBRateLimitError("slow down")
PROXY_SLOW_DOWN = VideoDBGatewayRateLimitError("slow down")


@pytest.mark.parametrize(
    ("allowed", "errors", "failures", "is_spent"),
    [
        (1, [], 0, False),
        (1, [DOWN], 1, True),
        (2, [DOWN], 1, False),
        (2, [DOWN, DOWN], 2, True),
        (2, [DOWN, None, DOWN], 1, False),
        (2, [None, None, DOWN, DOWN], 2, True),
        (2, [DOWN, SLOW_DOWN, SLOW_DOWN], 1, False),
        (2, [DOWN, PROXY_SLOW_DOWN, DOWN], 2, True),
        (1, [SLOW_DOWN] * 9, 0, False),
        (2, [ValueError("not ours"), SystemExit()], 2, True),
        (1, [DOWN, DOWN, DOWN], 3, True),
    ],
)
def test_only_failures_in_a_row_spend_the_budget(allowed, errors, failures, is_spent):
    budget = FailureBudget(allowed=allowed)
    for error in errors:
        budget = budget.after(error)

    assert (budget.failures, budget.is_spent) == (failures, is_spent)


@pytest.mark.parametrize(
    ("error", "connection_was_read", "final"),
    [
        *((error("no"), True, True) for error in (VideoDBAuthenticationError, VideoDBPermissionError)),
        *((error("no"), False, True) for error in (VideoDBConfigError, VideoDBLimitExceededError)),
        (VideoDBNoConnectionError("gone"), True, False),
        (VideoDBNoConnectionError("never there"), False, True),
        *((error("no"), False, False) for error in (VideoDBServerError, VideoDBResponseError, VideoDBRateLimitError)),
        *((VideoDBGatewayError("a page", status=status), False, False) for status in (200, 302, 401, 403, 404, 503)),
        (ValueError("not ours"), False, False),
    ],
    ids=repr,
)
def test_error_is_final_if_every_later_poll_would_fail(error, connection_was_read, final):
    assert is_final(error, connection_was_read=connection_was_read) is final
