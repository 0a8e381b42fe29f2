"""Airflow as a task meets it: task instances, Variables, the task state store, and an API server that fails."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import comms
from airflow.sdk.execution_time.comms import (
    DeleteVariable,
    ErrorResponse,
    GetTaskStates,
    GetVariable,
    InactiveAssetsResult,
    OKResponse,
    PutVariable,
    TaskStatesResult,
    ValidateInletsAndOutlets,
    VariableResult,
)
from greenlet import getcurrent

from airflow_provider_videodb.purchases.claims import claim_variable
from airflow_provider_videodb.purchases.posting import MAX_INTENT_AGE
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.variables import variable_key
from tests.support.market.process import BrokenPromiseError, Process, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.market.process import Time

DAG, RUN = "dag", "run"
#: For how long what a try has learnt from Airflow may be acted upon.
FRESH = timedelta(seconds=MAX_INTENT_AGE)
RECORD = "videodb_purchase"
#: Airflow 3.3 alone lets a task list the Variables.
GetVariableKeys = getattr(comms, "GetVariableKeys", None)


class Keeps(StrEnum):
    """Where a task's record is kept."""

    STATE_STORE = "the task state store"
    EMPTIED_STATE_STORE = "a task state store that is emptied on success"
    LISTED_VARIABLES = "Variables that can be listed"
    VARIABLES = "Variables that cannot be listed"


class Trouble(StrEnum):
    """What Airflow's API server cannot do for a while."""

    READ = "read: of a Variable it says that it is not there"
    WRITE = "write"
    WRITE_SURELY = "say that it has written, though it has"
    ANYTHING = "anything"


@dataclass
class Row:
    """A task instance: its id is another one after each retry and clear."""

    id: UUID
    try_number: int = 0
    state: str | None = None


@dataclass
class Airflow:
    """Airflow's database and the API server before it."""

    time: Time
    keeps: Keeps
    names: Iterable[str]
    rows: dict[str, Row] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    #: The task state store, by task and key.
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    #: When the tries that are over came to be over, by the ids of their task instances.
    over: dict[UUID, int] = field(default_factory=dict)
    trouble: Trouble | None = None
    #: How many more calls meet it; ``None`` if all do until it is over.
    troubled_calls: int | None = None
    #: Ids and links of the checkouts that a record has ever named as its own.
    noted: set[str | None] = field(default_factory=set)
    #: Ids of the checkouts that the record of a task has ever named, its orphans too.
    watched: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: What the list showed each task when it first recorded that it is about to ask for a checkout.
    begun_with: dict[str, frozenset[str]] = field(default_factory=dict)
    #: The newest try that has the record of a task for its own, and since when.
    _record_of: dict[str, tuple[int, int]] = field(default_factory=dict)
    _ids: int = 0

    def __post_init__(self) -> None:
        self.rows = {name: Row(self._new_id()) for name in self.names}
        self._variable_of = {variable_key(RECORD, *identity(name)): name for name in self.names}

    # What happens to task instances

    def is_current(self, process: Process) -> bool:
        """Say whether a process is the newest try of its task, and the task is to run."""
        row = self.rows[process.task]
        return row.id == process.ti_id and row.state == "running"

    def begin(self, name: str) -> Row:
        row = self.rows[name]
        row.state, row.try_number = "running", row.try_number + 1
        return row

    def mark(self, name: str, state: str | None) -> None:
        """Put a task into a state, by a user's hand or at the end of its try."""
        row = self.rows[name]
        self.over.setdefault(row.id, self.time.tick())
        row.state = state
        if state == "success" and self.keeps is Keeps.EMPTIED_STATE_STORE:
            self.states = {key: value for key, value in self.states.items() if key[0] != name}

    def replace(self, name: str, state: str | None) -> None:
        """Give a task instance another id, as a retry and a clear do."""
        self.mark(name, state)
        self.rows[name].id = self._new_id()

    # What is kept

    def record(self, name: str) -> Purchase | None:
        """Return the record of a task as it is."""
        kept = self.states.get((name, RECORD)) or self.variables.get(variable_key(RECORD, *identity(name)))
        return None if kept is None else Purchase.from_dict(json.loads(kept)["purchase"])

    def owner(self, checkout_id: str) -> str | None:
        """Return the task that has claimed a checkout."""
        owner = self.variables.get(claim_variable(checkout_id))
        return None if owner is None else owner.split("/")[2]

    # What a task asks

    def send(self, message: Any) -> Any:
        """Answer a question of the process that runs."""
        process = getcurrent()
        assert isinstance(process, Process)
        if isinstance(message, GetVariable | PutVariable | DeleteVariable):
            return self._variable(process, message)
        if isinstance(message, GetTaskStates):
            self._fail_if_in(process, Trouble.ANYTHING)
            return self._state(process)
        if isinstance(message, ValidateInletsAndOutlets):
            self._fail_if_in(process, Trouble.ANYTHING)
            return self._newest(process, message.ti_id)
        assert GetVariableKeys is not None
        assert isinstance(message, GetVariableKeys)
        self._fail_if_in(process, Trouble.ANYTHING, Trouble.READ)
        return self._listed(process, message)

    def _variable(self, process: Process, message: GetVariable | PutVariable | DeleteVariable) -> Any:
        key = message.key
        name, is_claim = self._variable_of.get(key), key.startswith("videodb_checkout")
        if isinstance(message, GetVariable):
            self._fail_if_in(process, Trouble.ANYTHING)
            value = None if self._meets(process, Trouble.READ) else self.variables.get(key)
            if name is not None:
                if self.keeps is not Keeps.STATE_STORE:
                    process.about_to_save_since = self.time.now
                self._note_read(process, there=value is not None)
            process.has(Step.LOADED if name is not None else Step.CLAIM_READ if is_claim else Step.OTHER_VARIABLE)
            if value is None:
                return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
            return VariableResult(key=key, value=value)
        self._fail_if_in(process, Trouble.ANYTHING, Trouble.WRITE)
        if isinstance(message, DeleteVariable):
            self.variables.pop(key, None)
        else:
            assert message.value is not None
            self.variables[key] = message.value
            if name is not None:
                self._note_record(process, json.loads(message.value))
        self._fail_if_in(process, Trouble.WRITE_SURELY)
        process.has(Step.SAVED if name is not None else Step.CLAIMED if is_claim else Step.OTHER_VARIABLE)
        return OKResponse(ok=True) if isinstance(message, DeleteVariable) else None

    def _listed(self, process: Process, message: Any) -> Any:
        keys = sorted(key for key in self.variables if key.startswith(message.prefix or ""))
        process.has(Step.OTHER_VARIABLE)
        return comms.VariableKeysResult(keys=keys[message.offset :][: message.limit], total_entries=len(keys))

    def _state(self, process: Process) -> TaskStatesResult:
        state = self.rows[process.task].state
        process.asking, process.is_to_run = self.time.tick(), state == "running"
        process.asking_at = self.time.now
        process.has(Step.ASKED_STATE)
        return TaskStatesResult(task_states={RUN: {process.task: state}})

    def _newest(self, process: Process, ti_id: UUID) -> InactiveAssetsResult:
        assert ti_id == process.ti_id
        is_newest = self.rows[process.task].id == ti_id
        if is_newest and process.is_to_run:
            process.asked, process.asked_at = process.asking, process.asking_at
        process.has(Step.ASKED_NEWEST)
        if not is_newest:
            raise _error(404)
        return InactiveAssetsResult(inactive_assets=[])

    # What can go wrong

    def _meets(self, process: Process, *troubles: Trouble) -> bool:
        if self.trouble not in troubles:
            return False
        process.troubled = True
        if self.troubled_calls is not None:
            self.troubled_calls -= 1
            if self.troubled_calls <= 0:
                self.trouble = None
        return True

    def _fail_if_in(self, process: Process, *troubles: Trouble) -> None:
        if self._meets(process, *troubles):
            raise _error(500)

    def note_taken_over(self, process: Process) -> None:
        """Note that a try goes on from a record that it has read."""
        if process.has_record:
            self._record_of[process.task] = max(self._newest_of(process), (process.try_number, self.time.tick()))

    def _newest_of(self, process: Process) -> tuple[int, int]:
        return self._record_of.get(process.task, (0, 0))

    def _note_read(self, process: Process, *, there: bool) -> None:
        process.read_record, process.read_record_at, process.has_record = self.time.tick(), self.time.now, there

    def _note_record(self, process: Process, record: Mapping[str, Any]) -> None:
        purchase, name = record["purchase"], process.task
        self.noted |= {purchase["checkout_id"], purchase["payment_url"]}
        self.watched[name] |= {purchase["checkout_id"], *purchase["orphans"], *purchase["ended"]}
        if purchase["posts"]:
            self.begun_with.setdefault(name, process.last_list)
        newest, since = self._newest_of(process)
        # The exception: a worker freezes for some seconds between the last read of the record and writing it.
        is_stale = process.read_record > since or self.time.now - process.read_record_at > FRESH
        if process.try_number < newest and is_stale:
            raise BrokenPromiseError(f"Try {process.try_number} of {name} overwrites the record of its try {newest}")
        if process.try_number >= newest:
            self._record_of[name] = process.try_number, self.time.tick()

    def _new_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)


class StateStore:
    """The task state store, as Airflow hands it to one try of a task."""

    def __init__(self, airflow: Airflow, process: Process) -> None:
        self._airflow, self._process = airflow, process

    def get(self, key: str) -> Any:
        airflow, process = self._airflow, self._process
        airflow._fail_if_in(process, Trouble.ANYTHING, Trouble.READ)
        kept = airflow.states.get((process.task, key)) if self._is_newest else None
        if key == RECORD:
            airflow._note_read(process, there=kept is not None)
        process.has(Step.LOADED if key == RECORD else Step.OTHER_VARIABLE)
        return None if kept is None else json.loads(kept)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        airflow, process = self._airflow, self._process
        airflow._fail_if_in(process, Trouble.ANYTHING, Trouble.WRITE)
        if not self._is_newest:
            raise _error(404)
        airflow.states[process.task, key] = json.dumps(value)
        if key == RECORD:
            airflow._note_record(process, value)
        airflow._fail_if_in(process, Trouble.WRITE_SURELY)
        process.has(Step.SAVED if key == RECORD else Step.OTHER_VARIABLE)

    def delete(self, key: str) -> None:
        airflow, process = self._airflow, self._process
        airflow._fail_if_in(process, Trouble.ANYTHING, Trouble.WRITE)
        if not self._is_newest:
            raise _error(404)
        airflow.states.pop((process.task, key), None)

    @property
    def _is_newest(self) -> bool:
        return self._airflow.rows[self._process.task].id == self._process.ti_id


def identity(name: str) -> tuple[str, str, str, str]:
    """Return what names a task through all its tries."""
    return DAG, RUN, name, "-1"


def _error(status: int) -> AirflowRuntimeError:
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status}))
