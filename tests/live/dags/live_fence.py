"""DAGs for tests/live/test_fence.py."""

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import dag

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.hooks import connection
from airflow_provider_videodb.operators.topup import TopupOperator

# A retry waits until the POST of a dead try can no longer be under way, 18 seconds less than with the default of 10.
connection.CONNECT_TIMEOUT = 1.0

RETRIES = {"retries": 30, "retry_delay": timedelta(seconds=1)}


class FrozenTopup(TopupOperator):
    """Freezes the first try and its supervisor between intent and POST."""

    def execute(self, context: Any) -> Any:
        if context["ti"].try_number == 1:
            # Each try has its own process, so this reaches no other try.
            BillingClient.topup = _frozen_topup
        return super().execute(context)


_topup = BillingClient.topup


def _frozen_topup(self: BillingClient, amount: int, **kwargs: Any) -> Any:
    for pid in (os.getppid(), os.getpid()):
        os.kill(pid, signal.SIGSTOP)
    return _topup(self, amount, **kwargs)


@dag(schedule=None)
def live_frozen() -> None:
    FrozenTopup(task_id="top_up", amount=20, poll_interval=1, **RETRIES)


@dag(schedule=None)
def live_fenced() -> None:
    TopupOperator(task_id="top_up", amount=20, poll_interval=1, **RETRIES)


live_frozen()
live_fenced()
