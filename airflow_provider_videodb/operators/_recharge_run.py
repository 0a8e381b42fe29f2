"""
The steps of an ``AutoRechargeOperator`` in a worker.

A pair of tasks shares the settings with other pipelines, see ``_recharge_hold.py``. This module has the task that
changes the settings permanently. It also has the pair below Airflow 3.3, where a task cannot list Variables.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBError
from airflow_provider_videodb.holds.rules.recharge import restored, settings_of
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.operators import _recharge_note as notes
from airflow_provider_videodb.operators._recharge_hold import RechargeHold
from airflow_provider_videodb.operators._recharge_note import RechargeNote, describe_settings
from airflow_provider_videodb.purchases.current_try import CurrentTry
from airflow_provider_videodb.purchases.rules.approval import check_unpriced
from airflow_provider_videodb.purchases.variables import delete_variable
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.operators._arguments import RejectsEmptyTemplates


_NEXT_STEP = "Next step: clear this task, or set automatic recharge in VideoDB's console."


@dataclass(frozen=True, kw_only=True)
class RechargeRequest:
    """
    The parsed arguments of an ``AutoRechargeOperator``.

    :param threshold: credits.
    :param amount: credits.
    :param restore: the settings to restore.
    """

    enabled: bool
    threshold: Decimal | None
    amount: Decimal | None
    restore: Mapping[str, Any] | None
    videodb_conn_id: str

    def __post_init__(self) -> None:
        """
        Refuse an amount that no account can be enabled with.

        :raises VideoDBConfigError: naming the argument.
        """
        if self.enabled and self.amount == 0:
            raise VideoDBConfigError(
                "amount is 0 credits, so automatic recharge cannot be enabled with it. Nothing was sent. Next step: "
                "give an amount above 0 credits, or leave it out to keep the stored one."
            )

    @property
    def changes(self) -> dict[str, Any]:
        """What to set; ``None`` keeps a stored figure."""
        if self.restore is not None:
            return settings_of(AutoRecharge(**self.restore))
        return {"enabled": self.enabled, "threshold": self.threshold, "amount": self.amount}


@dataclass(frozen=True, kw_only=True)
class RechargeRun:
    """
    Changes the settings once, or restores them.

    :param is_restored_later: whether another task restores what this one finds.
    :param is_stopped: says whether the worker was told to stop.
    """

    task: RejectsEmptyTemplates
    context: Context
    is_restored_later: bool
    is_stopped: Callable[[], bool]

    @cached_property
    def request(self) -> RechargeRequest:
        """The arguments, parsed once."""
        return RechargeRequest(**self.task.parsed())

    @cached_property
    def hook(self) -> VideoDBBillingHook:
        """The hook of the connection."""
        return VideoDBBillingHook(self.request.videodb_conn_id)

    @cached_property
    def client(self) -> BillingClient:
        """The client of the connection."""
        return self.hook.get_conn()

    def change(self) -> dict[str, Any]:
        """Read the settings, compare, write what differs, and read back."""
        self._check_approvals()
        if self.is_restored_later and self.request.restore is None and VARIABLES_CAN_BE_LISTED:
            return RechargeHold(self).switch_on()
        changes, ti = self.request.changes, self.context["ti"]
        key = notes.note_key(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        note = notes.load_note(key)
        self.reject_another_connection(note)
        with self.adding_to_error(lambda: notes.describe_note(note, "may be")):
            current = self.client.get_auto_recharge()
            wanted = current.changed_to(**changes)
        if note is not None and current not in (note.before, note.after):
            notes.warn_of_change(self.task.log, current, then="This pipeline restores that.")
            before, note = current, RechargeNote(videodb_conn_id=note.videodb_conn_id, before=current, after=wanted)
            notes.save_note(key, note)
        else:
            before = current if note is None else note.before
        if wanted != current:
            note = RechargeNote(videodb_conn_id=self.request.videodb_conn_id, before=before, after=wanted)
            notes.save_note(key, note)
            with self.adding_to_error(lambda: notes.describe_note(note, "may be")):
                current = self.write(wanted)
                if self.is_restored_later and notes.load_note(key) is None:
                    self._undo(before)
        if note is not None and not self.is_restored_later:
            delete_variable(key)
        return self.result(before, current)

    def _check_approvals(self) -> None:
        """
        Refuse what would switch automatic recharge on, now or at the end of the pipeline.

        The client checks it as well, but by then other pipelines would know of this one, or it would be off for good.
        """
        policy = self.hook.settings.approval_policy
        if self.request.changes["enabled"]:
            check_unpriced("Automatic recharge", policy)
        elif policy.asks_for_anything and self.is_restored_later and self.client.get_auto_recharge().enabled:
            check_unpriced("Automatic recharge, which this pipeline would switch back on,", policy)

    def bring_back(self, setup_task_id: str) -> dict[str, Any]:
        """Restore the settings that the setup task found."""
        if VARIABLES_CAN_BE_LISTED:
            return RechargeHold(self).switch_back(setup_task_id)
        with self.adding_to_error(lambda: (f"Automatic recharge may still be as task {setup_task_id} set it.",)):
            ti = self.context["ti"]
            key, note = notes.load_note_of_pair(ti.dag_id, ti.run_id, setup_task_id, ti.map_index)
            self.reject_another_connection(note)
        if note is None:
            return self.nothing_to_restore(setup_task_id)
        with self.adding_to_error(lambda: notes.describe_note(note, "may still be")):
            current = after = self.client.get_auto_recharge()
            wanted = restored(note.before, current)
            if current == note.after and wanted != current:
                after = self.write(wanted)
            elif wanted != current:
                notes.warn_of_change(self.task.log, current, then="The task leaves it so.")
        delete_variable(key)
        return self.result(current, after)

    def nothing_to_restore(self, setup_task_id: str) -> dict[str, Any]:
        """Report the settings of a pair without changes."""
        current = self.client.get_auto_recharge()
        self.task.log.info("Nothing to restore for task %s.", setup_task_id)
        self.task.log.info("It changed nothing in this DAG run, or its change is undone already.")
        return self.result(current, current)

    def write(self, settings: AutoRecharge) -> AutoRecharge:
        """Write the settings, if this try may still act."""
        CurrentTry(self.context["ti"], is_stopped=self.is_stopped).check()
        return self.set(settings)

    def set(self, settings: AutoRecharge) -> AutoRecharge:
        """Write the settings and read them back."""
        return self.client.set_auto_recharge(
            enabled=settings.enabled, threshold=settings.threshold, amount=settings.amount
        )

    def reject_another_connection(self, note: RechargeNote | None) -> None:
        """
        Refuse to restore one account's settings on another.

        :raises VideoDBConfigError: if the note names another connection.
        """
        conn_id = self.request.videodb_conn_id
        if note is not None and note.videodb_conn_id != conn_id:
            raise VideoDBConfigError(
                f"videodb_conn_id is {conn_id!r}, but this DAG run changed the settings of connection "
                f"{note.videodb_conn_id!r}. Nothing was sent. Next step: give both tasks of the pair that connection."
            )

    @contextmanager
    def adding_to_error(self, get_facts: Callable[[], Sequence[str]]) -> Iterator[None]:
        """
        Add to an error what automatic recharge may be now.

        The operator logs our own errors line by line. Any other exception leaves the facts in the log only.
        """
        try:
            yield
        except VideoDBError as err:
            if facts := get_facts():
                err.args = ("\n".join([*facts, _with_next_step(str(err))]),)
            raise
        except BaseException:
            if facts := get_facts():
                for line in (*facts, _NEXT_STEP):
                    self.task.log.error(line)  # noqa: TRY400 - Airflow logs the traceback
            raise

    def result(self, before: AutoRecharge, after: AutoRecharge) -> dict[str, Any]:
        """Return the XCom of the task, and log it."""
        if before == after:
            self.task.log.info("Automatic recharge is %s.", describe_settings(after))
            self.task.log.info("Nothing was changed.")
        else:
            self.task.log.info("Automatic recharge was %s.", describe_settings(before))
            self.task.log.info("It is now %s.", describe_settings(after))
        return {"changed": before != after, "before": before.to_dict(), "after": after.to_dict()}

    def _undo(self, before: AutoRecharge) -> None:
        """Restore the settings after a write that came too late."""
        # This try may no longer act, but its write took effect and nobody else will undo it.
        self.set(restored(before, self.client.get_auto_recharge()))
        raise notes.undone_error()


def _with_next_step(text: str) -> str:
    if "Next step: " in text:
        return f"{text} Then clear this task, or set automatic recharge in VideoDB's console."
    return f"{text} {_NEXT_STEP}"
