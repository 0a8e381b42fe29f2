"""Tells Airflow why a task waits."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError
from airflow_provider_videodb.holds.rules.messages import WAITING_KEY
from airflow_provider_videodb.purchases.variables import ask_airflow, store_failure


async def push_waiting(ti: Any, text: str) -> None:
    """
    Push the reason of a wait as XCom.

    A thread sends it, because the next request would receive the response of a cancelled one.

    :param ti: the task instance; ``None`` outside of Airflow.
    :raises VideoDBRecordNotKeptError: if Airflow does not confirm it.
    """
    if ti is not None:
        await asyncio.to_thread(_push, ti, text)


def _push(ti: Any, text: str) -> None:
    from airflow.sdk.execution_time.comms import SetXCom

    message = SetXCom(
        key=WAITING_KEY,
        value=text,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index,
    )
    try:
        ask_airflow(message)
    except Exception as err:
        raise VideoDBRecordNotKeptError(store_failure("could not write an XCom", err)) from err
