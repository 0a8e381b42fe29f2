"""One task of a pair that shares automatic recharge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.recharge import RechargeLedger
from airflow_provider_videodb.holds.rules.recharge_pair import join, leave
from airflow_provider_videodb.holds.rules.recharge_steps import Kept
from airflow_provider_videodb.holds.rules.records import holder_of, try_of
from airflow_provider_videodb.operators import _recharge_note as notes
from airflow_provider_videodb.operators._recharge_note import RechargeNote, describe_settings
from airflow_provider_videodb.purchases.variables import delete_variable

if TYPE_CHECKING:
    from airflow_provider_videodb.holds.rules.recharge_steps import Outcome
    from airflow_provider_videodb.operators._recharge_run import RechargeRun


class RechargeHold:
    """
    One task of a pair.

    :param run: the run of the task.
    """

    def __init__(self, run: RechargeRun) -> None:
        self._run = run
        self._log = run.task.log
        self._ti = run.context["ti"]
        self._note: RechargeNote | None = None
        self._key = ""

    def switch_on(self) -> dict[str, Any]:
        """Switch automatic recharge on until this pipeline leaves."""
        ti, request = self._ti, self._run.request
        self._key = notes.note_key(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        self._note = notes.load_note(self._key)
        self._run.reject_another_connection(self._note)
        ledger = self._ledger(Identity.of(ti, settlement_ms=0))
        wants = AutoRecharge(enabled=request.enabled, threshold=request.threshold, amount=request.amount)
        with self._run.adding_to_error(lambda: notes.describe_note(self._note, "may be")):
            outcome = ledger.run(join(ledger.me, wants, _kept(self._note)))
            if outcome.is_over:
                self._forget()
                raise notes.undone_error()
        self._describe_setup(outcome, wants)
        return self._run.result(outcome.first if outcome.found is None else outcome.found, outcome.current)

    def switch_back(self, setup_task_id: str) -> dict[str, Any]:
        """Switch automatic recharge back, unless other pipelines need it."""
        ti = self._ti
        as_set = f"Automatic recharge may still be as task {setup_task_id} set it."
        with self._run.adding_to_error(lambda: (as_set,)):
            self._key, self._note = notes.load_note_of_pair(ti.dag_id, ti.run_id, setup_task_id, ti.map_index)
            self._run.reject_another_connection(self._note)
        who = replace(Identity.of(ti, settlement_ms=0), task_id=setup_task_id)
        ledger = self._ledger(who)
        # In a mapped task group, the setup has the index of its teardown. Otherwise it has none.
        holders = [who.holder, holder_of(who.dag_id, who.run_id, setup_task_id, -1)]
        with self._run.adding_to_error(lambda: notes.describe_note(self._note, "may still be") or (as_set,)):
            outcome = ledger.run(leave(holders, ledger.me, _kept(self._note)))
            if outcome is None:
                return self._run.nothing_to_restore(setup_task_id)
            self._forget()
        self._describe_teardown(outcome)
        return self._run.result(outcome.first, outcome.current)

    def _ledger(self, who: Identity) -> RechargeLedger:
        return RechargeLedger(
            self._run.hook.settings.credit_account,
            me=who,
            try_id=try_of(self._ti.id),
            read=self._run.client.get_auto_recharge,
            write=self._write,
            keep_note=self._keep,
        )

    def _write(self, settings: AutoRecharge, is_undo: bool) -> AutoRecharge:  # noqa: FBT001 - see RechargeLedger
        # A try that undoes its write may no longer act, but nobody else will undo it.
        return self._run.set(settings) if is_undo else self._run.write(settings)

    def _keep(self, before: AutoRecharge, after: AutoRecharge) -> None:
        self._note = RechargeNote(videodb_conn_id=self._run.request.videodb_conn_id, before=before, after=after)
        notes.save_note(self._key, self._note)

    def _forget(self) -> None:
        if self._note is not None:
            delete_variable(self._key)

    def _describe_setup(self, outcome: Outcome, wants: AutoRecharge) -> None:
        if outcome.changed_by_person is not None:
            notes.warn_of_change(self._log, outcome.changed_by_person, then="The last pipeline restores that.")
        if outcome.others:
            others = "1 other pipeline sets" if outcome.others == 1 else f"{outcome.others} other pipelines set"
            self._log.info("%s automatic recharge of this account as well.", others)
            self._log.info("The last one restores it.")
            if outcome.current.enabled and not wants.enabled:
                self._log.info("It stays on, because another pipeline needs it.")

    def _describe_teardown(self, outcome: Outcome) -> None:
        if outcome.changed_by_person is not None:
            notes.warn_of_change(self._log, outcome.changed_by_person, then="The task leaves it so.")
        elif outcome.others:
            others = "1 other pipeline needs" if outcome.others == 1 else f"{outcome.others} other pipelines need"
            self._log.info("%s automatic recharge. The last one restores what was found.", others)
            if outcome.found is not None:
                self._log.info("It was found %s.", describe_settings(outcome.found))


def _kept(note: RechargeNote | None) -> Kept | None:
    return None if note is None else Kept(before=note.before, after=note.after)
