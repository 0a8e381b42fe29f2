"""DAGs for tests/live/test_fence.py."""

import os
import signal
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow.sdk import dag

from airflow_provider_videodb.hooks import connection
from airflow_provider_videodb.operators.topup import TopupOperator

# A retry waits until the POST of a dead try can no longer be under way, 18 seconds less than with the default of 10.
connection.CONNECT_TIMEOUT = 1.0

RETRIES = {"retries": 30, "retry_delay": timedelta(seconds=1)}


class FrozenTopup(TopupOperator):
    """Freezes the first try and its supervisor between intent and POST."""

    def purchase_executor(self, context: Any) -> Any:
        executor = super().purchase_executor(context)
        return replace(executor, shop=_FrozenShop(executor.shop)) if context["ti"].try_number == 1 else executor


class _FrozenShop:
    def __init__(self, shop: Any) -> None:
        self._shop = shop

    def topup(self, amount: int, **kwargs: Any) -> Any:
        for pid in (os.getppid(), os.getpid()):
            os.kill(pid, signal.SIGSTOP)
        return self._shop.topup(amount, **kwargs)

    def list_checkouts(self) -> Any:
        return self._shop.list_checkouts()


@dag(schedule=None)
def live_frozen() -> None:
    FrozenTopup(task_id="top_up", amount=20, poll_interval=1, **RETRIES)


@dag(schedule=None)
def live_fenced() -> None:
    TopupOperator(task_id="top_up", amount=20, poll_interval=1, **RETRIES)


live_frozen()
live_fenced()
