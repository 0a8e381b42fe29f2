"""Calls a notifier, but not for longer than a worker may wait."""

from __future__ import annotations

import copy
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseNotifier, Context

#: Seconds that a notifier may take. A worker must not wait for a mail server that does not respond.
LONGEST_CALL = 60.0


def call_notifier(notifier: BaseNotifier, context: Context) -> None:
    """
    Call a notifier, and raise what it raises.

    :raises TimeoutError: if it takes longer than a minute. Its message may arrive after all.
    """
    # Rendering changes a notifier, and several tasks may share it. So each call gets a copy.
    ended: Future[None] = Future()
    # A thread, because an alarm could interrupt a question to Airflow, and the next one would get its response.
    Thread(target=copy_context().run, args=(_call, copy.copy(notifier), context, ended), daemon=True).start()
    ended.result(LONGEST_CALL)


def _call(notifier: BaseNotifier, context: Context, ended: Future[None]) -> None:
    try:
        notifier(context)
        ended.set_result(None)
    except BaseException as err:  # noqa: BLE001 - the task's own thread raises it again
        ended.set_exception(err)
