"""Setting automatic recharge, and bringing back what was set before."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import parse_credits, parse_flag, parse_settings, parse_text
from airflow_provider_videodb.operators._arguments import (
    NOT_GIVEN,
    RejectsEmptyTemplates,
    fail_without_retry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from airflow.providers.common.compat.sdk import BaseOperator, Context
    from airflow.sdk import XComArg

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.api.models import AutoRecharge
    from airflow_provider_videodb.operators._arguments import Credits, NotGiven, Text
    from airflow_provider_videodb.operators._recharge_note import RechargeNote

_NEXT_STEP = "Next step: clear this task, or set it in VideoDB's console."


class AutoRechargeOperator(RejectsEmptyTemplates):
    """
    Bring VideoDB's automatic recharge into the wanted state.

    Guarantees: it reads, compares, writes only if something differs, reads back, and fails if what was written did
    not take effect. A retry is therefore harmless. Disabling keeps the configuration; enabling without ``threshold``
    or ``amount`` keeps the stored one.

    Facts from VideoDB's documents: the threshold is when it triggers, the amount is in credits, it needs a payment
    method on file, and changes take effect immediately.

    As a pair it holds for the duration of a pipeline, whether that succeeds or fails: the first task sets, the second
    one, its teardown, brings back what the first one found::

        on = AutoRechargeOperator(task_id="recharge_on", threshold=20, amount=100)
        back = AutoRechargeOperator(task_id="recharge_back", restore=on.output, retries=3)
        on >> heavy_job >> back.as_teardown(setups=on, on_failure_fail_dagrun=True)
        heavy_job >> report

    Before its first write the setup keeps what it found in an Airflow Variable, ``videodb_auto_recharge__…``. A setup
    that is retried, or cleared while the pipeline works, reports what this Variable holds, not its own setting. The
    teardown deletes the Variable after it has read back what it restored. It also runs where the setup failed, because
    a setup can fail after VideoDB has carried out its change. Without the Variable it changes nothing: the setup
    changed nothing in this DAG run, or it was brought back already. If somebody changed the settings in between, the
    teardown overwrites them, and its log says what they were.

    ``on_failure_fail_dagrun=True`` fails the DAG run if the settings could not be brought back. Airflow then judges the
    run by the teardown and no longer by the tasks before it, so a failed job needs a task after it, such as ``report``
    above, to fail the run.

    The settings belong to the account. Pairs that overlap on one account bring back each other's settings, and
    automatic recharge can stay on: let one pipeline of an account use a pair, with ``max_active_runs=1``. To map a
    pair, put both tasks into a mapped task group.

    Returns (XCom ``return_value``) ``{"changed": true, "before": {…}, "after": {…}}`` with ``enabled``, ``threshold``
    and ``amount`` in each of the two, in credits.

    Raises :class:`~airflow_provider_videodb.exceptions.VideoDBSettingsNotAppliedError` if the settings did not take
    effect, and ``AirflowFailException``, which Airflow does not retry, for what only a person can mend. An error after
    the first write says what may be on now.

    :param enabled: whether VideoDB shall recharge by itself.
    :param threshold: credits below which it does. Not given, the stored one is kept; ``None`` is refused. (templated)
    :param amount: credits that it adds. Not given, the stored ones are kept; ``None`` is refused. (templated)
    :param restore: the output of another such task, ``that_task.output``: bring back the settings it found, instead of
        the above. (templated)
    :param videodb_conn_id: the ``videodb`` connection; with ``restore`` that of the other task. (templated)
    """

    template_fields: Sequence[str] = ("threshold", "amount", "restore", "videodb_conn_id")
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        enabled: bool = True,
        threshold: Credits | NotGiven = NOT_GIVEN,
        amount: Credits | NotGiven = NOT_GIVEN,
        restore: Mapping[str, Any] | XComArg | NotGiven = NOT_GIVEN,
        videodb_conn_id: Text = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enabled = self.plain("enabled", enabled, parse_flag)
        self.threshold = self.templated("threshold", threshold, parse_credits)
        self.amount = self.templated("amount", amount, parse_credits)
        self.restore = self.templated("restore", restore, parse_settings)
        self.videodb_conn_id = self.templated("videodb_conn_id", videodb_conn_id, parse_text)
        self._setup_task_id: str | None = None
        self._is_stopped = False
        self.note_given()

    def note_given(self) -> None:
        """Also note whose settings are to be brought back: where that task failed, there is no XCom to tell."""
        super().note_given()
        setup = getattr(self.restore, "operator", None)
        if isinstance(setup, AutoRechargeOperator) and setup.restore is None:
            self._setup_task_id = setup.task_id
            self._given = {**self._given, "restore": False}

    def as_teardown(
        self,
        *,
        setups: BaseOperator | Iterable[BaseOperator] | None = None,
        on_failure_fail_dagrun: bool | None = None,
    ) -> Self:
        """Make this task a teardown; one that restores also runs after a setup that failed."""
        from airflow.providers.common.compat.sdk import TriggerRule

        given = {} if on_failure_fail_dagrun is None else {"on_failure_fail_dagrun": on_failure_fail_dagrun}
        super().as_teardown(setups=setups, **given)
        if self._setup_task_id is not None:
            self.trigger_rule = TriggerRule.ALL_DONE
        return self

    def on_kill(self) -> None:
        """Write nothing more: Airflow lets a task run on for seconds."""
        self._is_stopped = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, write what differs, read back."""
        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            self.reject_empty()
            if self._setup_task_id is None:
                return self._change(context)
            return self._bring_back(context, self._setup_task_id)

    def _change(self, context: Context) -> dict[str, Any]:
        from airflow_provider_videodb.operators._recharge_note import (
            RechargeNote,
            delete_note,
            in_words,
            load_note,
            note_key,
            save_note,
        )

        wanted = self._wanted()
        ti = context["ti"]
        key = note_key(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        note = load_note(key)
        self._reject_another_connection(note)
        client = self._client()
        with self._saying_what_may_be(note):
            current = client.get_auto_recharge()
            if note is not None and current not in (note.before, note.after):
                self.log.warning("Somebody else has set automatic recharge %s in the meantime.", in_words(current))
            settings = current.changed_to(**wanted)
        before = current if note is None else note.before
        if settings != current:
            note = RechargeNote(videodb_conn_id=self.videodb_conn_id, before=before, after=settings)
            save_note(key, note)
            with self._saying_what_may_be(note):
                current = self._write(client, settings, context)
                if self._is_restored_later() and load_note(key) is None:
                    self._undo(client, before)
        if note is not None and not self._is_restored_later():
            delete_note(key)
        return self._result(before, current)

    def _undo(self, client: BillingClient, before: AutoRecharge) -> None:
        """Bring back what this try found, where the task that does so came before the write of this try."""
        from airflow_provider_videodb.exceptions import VideoDBTryOverError

        # Not by way of a check of the try: it is over, and what it wrote is not.
        _set(client, client.get_auto_recharge().changed_to(**_figures(asdict(before))))
        raise VideoDBTryOverError(
            "While this task set automatic recharge, another task of the DAG run brought back what it was before: "
            "somebody has marked or cleared this task. What this try has set was taken back as well."
        )

    def _bring_back(self, context: Context, setup_task_id: str) -> dict[str, Any]:
        from airflow_provider_videodb.operators._recharge_note import (
            delete_note,
            found_in_words,
            in_words,
            load_note_of_pair,
        )

        with self._saying(f"Automatic recharge may still be as task {setup_task_id} set it."):
            if self.restore is not None:
                parse_settings("restore", self.restore)
            ti = context["ti"]
            key, note = load_note_of_pair(ti.dag_id, ti.run_id, setup_task_id, ti.map_index)
            self._reject_another_connection(note)
            client = self._client()
        if note is None:
            current = client.get_auto_recharge()
            self._log_why_nothing_is_brought_back(setup_task_id, current)
            return self._result(current, current)
        with self._saying(f"Automatic recharge may still be {in_words(note.after)}.", found_in_words(note)):
            current = client.get_auto_recharge()
            if current not in (note.before, note.after):
                self.log.warning("Overwriting what somebody else has set in the meantime: %s.", in_words(current))
            settings = current.changed_to(**_figures(asdict(note.before)))
            restored = current if settings == current else self._write(client, settings, context)
        delete_note(key)
        return self._result(current, restored)

    def _wanted(self) -> dict[str, Any]:
        """Return what to set, read from the arguments."""
        if self.restore is not None:
            return _figures(parse_settings("restore", self.restore))
        return {
            "enabled": parse_flag("enabled", self.enabled),
            "threshold": None if self.threshold is None else parse_credits("threshold", self.threshold),
            "amount": None if self.amount is None else parse_credits("amount", self.amount),
        }

    def _is_restored_later(self) -> bool:
        """Tell whether another task brings back what this one finds."""
        return self.is_setup or any(_restores(task) for task in self.downstream_list)

    def _client(self) -> BillingClient:
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        return VideoDBBillingHook(self.videodb_conn_id).get_conn()

    def _write(self, client: BillingClient, settings: AutoRecharge, context: Context) -> AutoRecharge:
        """Write, unless Airflow has marked or cleared the task since it began."""
        from airflow_provider_videodb.purchases.current_try import CurrentTry

        CurrentTry(context["ti"], is_stopped=lambda: self._is_stopped).check()
        return _set(client, settings)

    def _reject_another_connection(self, note: RechargeNote | None) -> None:
        from airflow_provider_videodb.exceptions import VideoDBConfigError

        if note is not None and note.videodb_conn_id != self.videodb_conn_id:
            raise VideoDBConfigError(
                f"videodb_conn_id is {self.videodb_conn_id!r}, but this DAG run found and changed the settings of "
                f"connection {note.videodb_conn_id!r}. Nothing was sent. Give both tasks of the pair that connection."
            )

    def _saying_what_may_be(self, note: RechargeNote | None) -> AbstractContextManager[None]:
        from airflow_provider_videodb.operators._recharge_note import found_in_words, in_words

        if note is None:
            return nullcontext()
        return self._saying(f"Automatic recharge may be {in_words(note.after)}.", found_in_words(note))

    @contextmanager
    def _saying(self, *facts: str) -> Iterator[None]:
        """Add to the error, and to the log, what automatic recharge may be after something failed inside."""
        from airflow_provider_videodb.exceptions import VideoDBError

        try:
            yield
        except BaseException as err:
            # On lines of their own, since a log page cuts off a long one.
            for line in (*facts, _NEXT_STEP, f"Connection: {self.videodb_conn_id}"):
                self.log.error(line)  # noqa: TRY400 - Airflow logs the traceback
            if isinstance(err, VideoDBError):
                err.args = (" ".join([*facts, str(err), _NEXT_STEP]),)
            raise

    def _log_why_nothing_is_brought_back(self, setup_task_id: str, current: AutoRecharge) -> None:
        from airflow_provider_videodb.operators._recharge_note import in_words

        if self.restore is not None and self.restore.get("changed"):
            self.log.warning(
                "Nothing to bring back: it was brought back already. Automatic recharge is %s.", in_words(current)
            )
        else:
            self.log.info("Nothing to bring back: task %s changed nothing in this DAG run.", setup_task_id)

    def _result(self, before: AutoRecharge, after: AutoRecharge) -> dict[str, Any]:
        from airflow_provider_videodb.operators._recharge_note import in_words

        self.log.info("Automatic recharge was %s and is now %s.", in_words(before), in_words(after))
        return {"changed": before != after, "before": before.to_dict(), "after": after.to_dict()}


def _restores(task: Any) -> bool:
    operator = getattr(task, "operator_class", type(task))
    # A mapped one has its arguments elsewhere: it is taken for one that restores.
    return issubclass(operator, AutoRechargeOperator) and getattr(task, "restore", task) is not None


def _figures(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to set so that the settings are as before."""
    if not before["amount"]:
        # The account had no figures, and there is no call to take them away again: they stay, disabled.
        return {"enabled": before["enabled"], "threshold": None, "amount": None}
    return {"enabled": before["enabled"]} | {
        name: parse_credits(name, before[name]) for name in ("threshold", "amount")
    }


def _set(client: BillingClient, settings: AutoRecharge) -> AutoRecharge:
    return client.set_auto_recharge(enabled=settings.enabled, threshold=settings.threshold, amount=settings.amount)
