"""
Watches an account's balance, and remembers its level.

The watcher uses the poll that waiting gates use. Before it sends an event, it stores the event in an Airflow Variable.
A few seconds later, when Airflow has stored the event too, it records that the event was sent. If the triggerer dies in
between, the next one sends the event again. At any other time, a dead triggerer neither repeats nor loses an event.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError
from airflow_provider_videodb.hooks.arguments import parse_seconds, parse_text
from airflow_provider_videodb.purchases.variables import read_variable, variable_key, write_variable
from airflow_provider_videodb.triggers._accounts import read_in_triggerer
from airflow_provider_videodb.triggers._credit_levels import Kind, Line, Sample, Watched, advance
from airflow_provider_videodb.triggers._encoding import clean, describe, plain
from airflow_provider_videodb.triggers._pauses import mark_of
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers._shared_poll import PollKey, wait_for_event
from airflow_provider_videodb.triggers.credits import fetch_account_view, fetch_usage
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_provider_videodb.triggers._gates import AccountView
    from airflow_provider_videodb.triggers.credit_watch import CreditWatchTrigger

#: Seconds until Airflow has stored an event that a trigger sent.
_UNTIL_STORED = 10.0
#: Seconds until a watcher that failed tries again.
_RETRY_AFTER = 60.0
#: The poll that gates use by default, so that a watcher shares it.
_FETCH = fetch_account_view if VARIABLES_CAN_BE_LISTED else fetch_usage


class CreditWatch:
    """
    The work of one trigger.

    :param trigger: its arguments.
    """

    def __init__(self, trigger: CreditWatchTrigger) -> None:
        self._trigger = trigger
        self._log = trigger.log
        self._key = variable_key("videodb_credit_watch", clean(str(trigger.name)))
        self._conn_id = str(trigger.videodb_conn_id)
        self._told: dict[str, Any] | None = None
        self._failure = ""

    async def run(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events, and continue after each failure."""
        while True:
            try:
                async for event in self._events():
                    yield event
            except Exception as err:  # noqa: BLE001 - Airflow would start the trigger again at once
                self._log_failure(err)
            await asyncio.sleep(_RETRY_AFTER)

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        given = self._trigger
        self._line = Line.parse(below=given.below, back_at=given.back_at, warn_hours=given.warn_hours)
        self._kind = Kind(given.kind)
        poll = PollKey(
            _FETCH,
            parse_text("videodb_conn_id", given.videodb_conn_id),
            parse_seconds("poll_interval", given.poll_interval),
            read_in_triggerer,
        )
        before = await self._load()
        while True:
            view = await self._next_change(before, poll)
            # Another triggerer may have watched meanwhile.
            before = await self._load()
            after = self._advance(before, view)
            if after.unsent == self._told:
                after = replace(after, unsent=None)
            if after != before:
                await self._save(after)
            self._log_recovery()
            if after.unsent is not None:
                self._log_event(after.unsent)
                self._told = after.unsent
                yield dict(after.unsent)
                await asyncio.sleep(_UNTIL_STORED)
                after = replace(after, unsent=None)
                await self._save(after)
            before = after

    async def _next_change(self, before: Watched | None, poll: PollKey) -> AccountView:
        def on_poll_result(result: PollResult) -> dict[str, Any] | None:
            if result is NO_RESULT or result.error is not None:
                # An unknown balance is neither low nor back. The poll logs its failures itself.
                return None
            is_due = before is None or before.unsent is not None or self._advance(before, result.value) != before
            return {"view": result.value} if is_due else None

        view: AccountView = (await wait_for_event((poll, on_poll_result)))["view"]
        return view

    def _advance(self, before: Watched | None, view: AccountView) -> Watched:
        return advance(
            before,
            Sample(time.time(), view.usage.credit_balance),
            self._line,
            kind=self._kind,
            account=mark_of(view.settings, like="" if before is None else before.account),
            conn_id=self._conn_id,
        )

    async def _load(self) -> Watched | None:
        text = await _ask(read_variable, self._key)
        if text is None:
            return None
        try:
            return Watched.from_json(text)
        except ValueError as err:
            raise VideoDBRecordUnreadableError(
                f"The Airflow Variable {self._key!r} holds {text[:200]!r}, which no credit watcher has stored "
                f"({str(err)[:80]}). No event was sent. Next step: delete the Variable. The watcher then starts over."
            ) from None

    async def _save(self, watched: Watched) -> None:
        # What cannot be encoded would end the triggerer.
        plain(watched.unsent)
        await _ask(write_variable, self._key, watched.to_json())

    def _log_event(self, event: dict[str, Any]) -> None:
        self._log.info(
            "Credits of connection %s: %s. The balance is %s, and the threshold is %s.",
            clean(self._conn_id),
            event["level"],
            event["balance"],
            event["below"],
        )

    def _log_failure(self, err: Exception) -> None:
        text = describe(err)
        if text != self._failure:
            self._log.warning("The asset %s currently gets no events. %s", clean(str(self._trigger.name)), text)
        self._failure = text

    def _log_recovery(self) -> None:
        if self._failure:
            self._log.info("The asset %s gets events again.", clean(str(self._trigger.name)))
        self._failure = ""


async def _ask(function: Callable[..., Any], *arguments: str) -> Any:
    """
    Ask Airflow in a thread.

    Airflow 3.1 mixes up questions in two cases, and then its triggerer ends. A thread of asyncio asks on another event
    loop. A cancelled question leaves its response to the next one.
    """
    return await asyncio.shield(sync_to_async(function, thread_sensitive=False)(*arguments))
