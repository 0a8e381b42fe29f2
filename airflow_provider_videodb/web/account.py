"""Puts together what the page shows of one connection."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBNoConnectionError
from airflow_provider_videodb.holds.journal import read_notes
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import account_part
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.overview.database import DatabaseStore, read_run_states
from airflow_provider_videodb.overview.holds import runs_of
from airflow_provider_videodb.overview.money import listed_checkouts, open_checkouts, spending_of, usage_to_dict
from airflow_provider_videodb.overview.page import (
    MOST_CHANGES,
    age_of,
    changes_of,
    describe_holds,
    describe_invoices,
    describe_problem,
    named,
    reasons_of,
    shown_flags,
)
from airflow_provider_videodb.overview.pauses import active_pause
from airflow_provider_videodb.overview.purchases import read_claims, read_variables
from airflow_provider_videodb.overview.recorded import question_of
from airflow_provider_videodb.overview.unpaid import describe_link, describe_unknown
from airflow_provider_videodb.overview.waits import AccountNow, describe_question, describe_task, read_wait
from airflow_provider_videodb.purchases.rules.candidates import candidates
from airflow_provider_videodb.purchases.rules.resolution import resolution_variable
from airflow_provider_videodb.version_compat import LISTED_REQUESTS_FIT_A_PHONE, VARIABLES_CAN_BE_LISTED
from airflow_provider_videodb.web.records import listed_connections, read_questions, read_unpaid, read_waiting_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_videodb.api.models import Checkout, Usage
    from airflow_provider_videodb.hooks.connection import ConnectionSettings
    from airflow_provider_videodb.overview.money import ListedCheckout
    from airflow_provider_videodb.overview.recorded import TaskName
    from airflow_provider_videodb.web.access import Viewer
    from airflow_provider_videodb.web.reader import Part, Reader
    from airflow_provider_videodb.web.records import Question, UnpaidPurchase, WaitingTask

#: Seconds that a request waits for a prompt response of VideoDB.
_PROMPT = 1.0
_NEWEST_NOTES = 30

log = logging.getLogger(__name__)


def list_accounts(viewer: Viewer) -> dict[str, Any]:
    """
    Return the connections that the viewer may read.

    Airflow cannot list the connections of environment variables and secrets backends. So one of them is listed only if
    it is the default connection, or if a task waits or has an unpaid purchase with it.
    """
    stored = listed_connections()
    listed = [conn_id for conn_id in stored if viewer.may_read_connection(conn_id)]
    waits = [(task, read_wait(task.kwargs)) for task in read_waiting_tasks(viewer.may_read_tasks)[0]]
    named = {wait.conn_id for _, wait in waits}
    named |= {asked.conn_id for asked in read_questions(viewer.may_read_tasks)}
    named |= {one.conn_id for one in read_unpaid(viewer.may_read_tasks)}
    others = (named | {VideoDBBillingHook.default_conn_name}) - {*stored, None}
    readable = [conn_id for conn_id in others if conn_id is not None and viewer.may_read_connection(conn_id)]
    found = [conn_id for conn_id in readable if _exists(conn_id)]
    may_read = bool(listed or readable)
    # Nobody else would hear of a task whose arguments do not even say which connection it waits with.
    unreadable = [_task(task) for task, wait in waits if may_read and wait.conn_id is None]
    return {"connections": sorted({*listed, *found}), "may_read": may_read, "unreadable": unreadable}


class AccountPage:
    """
    What one viewer sees of one connection now.

    Each part fails separately, and then says what to do next.
    """

    def __init__(self, conn_id: str, viewer: Viewer, reader: Reader) -> None:
        self._conn_id = conn_id
        self._viewer = viewer
        self._reader = reader
        self._now = datetime.now(UTC)
        self._account = AccountNow(balance=None, available=None, listed={}, reasons={}, pause=None)
        self._fingerprint: str | None = None
        self._unpaid: list[UnpaidPurchase] = []

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for the page."""
        try:
            settings = VideoDBBillingHook(self._conn_id).settings
        except Exception as err:  # noqa: BLE001 - a secrets backend may raise anything
            return {"id": self._conn_id, "problem": _problem(err), "tasks": _part(self._tasks)}
        self._fingerprint = settings.fingerprint
        parts = self._reader.read(self._conn_id, settings, wait=_PROMPT)
        usage: Usage | None = parts["usage"].value
        checkouts: list[Checkout] = parts["checkouts"].value or []
        self._account = AccountNow(
            balance=None if usage is None else usage.credit_balance,
            available=None if usage is None else usage.credit_balance - settings.credit_reserve,
            listed=by_id(checkouts),
            reasons={},
            pause=None,
        )
        # The tasks come after the holds, which say why a gate waits. They also read the unpaid purchases.
        holds = _part(lambda: self._holds(settings))
        tasks = _part(self._tasks)
        unknown = self._read(parts["checkouts"], lambda value: self._unknown(value, parts["checkouts"].read_at))
        return {
            "id": self._conn_id,
            "account": settings.credit_account,
            "listed_requests_fit_a_phone": LISTED_REQUESTS_FIT_A_PHONE,
            "problem": None,
            "usage": self._read(parts["usage"], lambda value: self._usage(value, settings)),
            "month": self._read(
                parts["checkouts"], lambda value: spending_of(value, settings.limits, now=self._now).to_dict()
            ),
            "checkouts": self._read(
                parts["checkouts"], lambda value: self._with_owners(open_checkouts(value, now=self._now))
            ),
            "invoices": self._read(parts["invoices"], describe_invoices),
            "auto_recharge": self._read(parts["auto_recharge"], lambda value: value.to_dict()),
            "holds": holds,
            "tasks": tasks,
            "unknown": unknown,
            "changes": _part(lambda: self._changes(settings, checkouts)),
        }

    def _usage(self, usage: Usage, settings: ConnectionSettings) -> dict[str, Any]:
        available = self._account.available
        return {
            "balance": to_json_number(usage.credit_balance),
            "reserve": to_json_number(settings.credit_reserve),
            "available": None if available is None else to_json_number(available),
            **usage_to_dict(usage),
        }

    def _holds(self, settings: ConnectionSettings) -> dict[str, Any] | None:
        if not VARIABLES_CAN_BE_LISTED:
            return None
        store = DatabaseStore()
        ledger = Ledger(account_part(settings.credit_account), store=store)
        view = ledger.view()
        counted, queue = shown_flags(view)
        known = {flag: ledger.who(flag) for flag in (*counted, *queue)}
        who = {flag: one for flag, one in known.items() if one is not None and self._viewer.may_read_tasks(one.dag_id)}
        balance, pause = self._account.balance, active_pause(store, view)
        reasons = reasons_of(view, who, balance=balance, reserve=settings.credit_reserve)
        self._account = AccountNow(
            balance=balance,
            available=None if balance is None else balance - settings.credit_reserve - view.held,
            listed=self._account.listed,
            reasons=reasons,
            pause=pause,
        )
        return describe_holds(view, who, read_run_states(runs_of(who)), reasons, pause)

    def _tasks(self) -> dict[str, Any]:
        tasks, more = read_waiting_tasks(self._viewer.may_read_tasks)
        waits = [(task, read_wait(task.kwargs)) for task in tasks]
        questions = read_questions(self._viewer.may_read_tasks)
        asking = [
            _task(one) | describe_question(one.subject, gives_up=one.gives_up)
            for one in questions
            if one.conn_id == self._conn_id
        ]
        waiting = [
            _task(task) | describe_task(wait, self._account, now=self._now)
            for task, wait in waits
            if wait.conn_id == self._conn_id
        ]
        # A task that ends its wait meanwhile is found here. Read first, it would be found in neither.
        self._unpaid = [
            one
            for one in read_unpaid(self._viewer.may_read_tasks)
            if one.is_of(self._conn_id, account=self._fingerprint)
        ]
        found = {(task.dag_id, task.run_id, task.task_id, task.map_index) for task in tasks}
        paying = [
            described
            for one in self._unpaid
            if (described := describe_link(one.recorded, self._account, now=self._now)) is not None
            and tuple(described[name] for name in ("dag_id", "run_id", "task_id", "map_index")) not in found
        ]
        return {"tasks": asking + waiting + paying, "more": more}

    def _unknown(self, checkouts: list[Checkout], read_at: datetime | None) -> list[dict[str, Any]]:
        """
        Return the purchases with an unknown outcome, which `airflow videodb answer` resolves.

        :param read_at: when the list was read. It says nothing about what was sent since.
        """
        now = self._now if read_at is None else min(read_at, self._now)
        unpaid = [one.recorded for one in self._unpaid]
        claims = read_claims({one.id for each in unpaid for one in candidates(each.purchase, checkouts) if one.id})
        account = self._fingerprint or ""
        asked = [question_of(one, checkouts=checkouts, claims=claims, account=account, now=now) for one in unpaid]
        questions = [one for one in asked if one is not None]
        earlier = read_variables(resolution_variable(one.recorded.purchase) for one in questions)
        return [describe_unknown(one, earlier, now=self._now) for one in questions]

    def _changes(self, settings: ConnectionSettings, checkouts: list[Checkout]) -> list[dict[str, Any]]:
        notes = []
        if VARIABLES_CAN_BE_LISTED:
            store = DatabaseStore(newest=_NEWEST_NOTES)
            notes = list(read_notes(store, account_part(settings.credit_account), since_ms=0))
        dated = sorted(((one.created_at, one) for one in checkouts if one.created_at), key=itemgetter(0), reverse=True)
        listed = listed_checkouts([one for _, one in dated[:MOST_CHANGES]], now=self._now)
        owners = _owners(listed)
        dags = {dag_id for note in notes if isinstance(dag_id := note.fields.get("dag_id"), str)}
        dags |= {owner.dag_id for owner in owners.values() if owner is not None}
        return changes_of(notes, listed, owners=owners, may_read=self._may_read(dags))

    def _with_owners(self, listed: Sequence[ListedCheckout]) -> list[dict[str, Any]]:
        owners = _owners(listed)
        may_read = self._may_read({owner.dag_id for owner in owners.values() if owner is not None})
        return [one.to_dict() | named(owners.get(one.checkout.id or ""), may_read) for one in listed]

    def _may_read(self, dag_ids: Iterable[str]) -> dict[str, bool]:
        return {dag_id: self._viewer.may_read_tasks(dag_id) for dag_id in dag_ids}

    def _read(self, part: Part, describe: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the last value, its age and its error."""
        shown = {"value": None, "error": None} if part.value is None else _part(lambda: describe(part.value))
        return {
            "value": shown["value"],
            "age": None if part.read_at is None else age_of(part.read_at, now=datetime.now(UTC)),
            "error": shown["error"] or (None if part.error is None else _problem(part.error)),
            "reading": part.is_reading,
        }


def _part(read: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": read(), "error": None}
    except Exception as err:  # noqa: BLE001 - one part that fails must not hide the others
        return {"value": None, "error": _problem(err)}


def _problem(err: Exception) -> Mapping[str, str]:
    if not isinstance(err, VideoDBError):
        log.error("A part of the credits page failed.", exc_info=err)
    return describe_problem(err)


def _owners(listed: Sequence[ListedCheckout]) -> dict[str, TaskName | None]:
    return read_claims(one.checkout.id for one in listed if one.checkout.id)


def _task(one: WaitingTask | Question) -> dict[str, Any]:
    return {
        "dag_id": one.dag_id,
        "run_id": one.run_id,
        "task_id": one.task_id,
        "map_index": one.map_index,
        "since": _iso(one.since),
    }


def _exists(conn_id: str) -> bool:
    try:
        VideoDBBillingHook(conn_id).settings  # noqa: B018 - reads the connection
    except VideoDBNoConnectionError:
        return False
    except Exception:  # noqa: BLE001 - the page of the connection says what is wrong
        return True
    return True


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
