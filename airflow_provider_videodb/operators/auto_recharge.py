"""Turns automatic recharge on or off, and restores it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.hooks.arguments import parse_credits, parse_flag, parse_settings, parse_text
from airflow_provider_videodb.operators._arguments import (
    NOT_GIVEN,
    RejectsEmptyTemplates,
    fail_without_retry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from airflow.providers.common.compat.sdk import BaseOperator, Context
    from airflow.sdk import XComArg

    from airflow_provider_videodb.operators._arguments import Credits, NotGiven, Text


class AutoRechargeOperator(RejectsEmptyTemplates):
    """
    Turn VideoDB's automatic recharge on or off.

    The task reads the settings and writes them only if something differs. Then it reads them back, and fails if the
    change did not take effect. So a retry is harmless. Turning automatic recharge off keeps its figures. Turning it on
    without ``threshold`` or ``amount`` uses the stored figure.

    According to VideoDB's documentation, a recharge starts when the balance falls below the threshold, and the amount
    is in credits. Automatic recharge needs a payment method on file, and changes take effect immediately.

    Two tasks make a pair that holds while a pipeline runs, whether the pipeline succeeds or fails. The first task, the
    setup, changes the settings. The second task, its teardown, restores what the first one found::

        on = AutoRechargeOperator(task_id="recharge_on", threshold=20, amount=100)
        back = AutoRechargeOperator(task_id="recharge_back", restore=on.output, retries=3)
        on >> heavy_job >> back.as_teardown(setups=on, on_failure_fail_dagrun=True)
        heavy_job >> report

    Before its first write, the setup saves what it found in an Airflow Variable, ``videodb_auto_recharge__…``. A retry
    or a clear of the setup reports the settings in this Variable, and not its own change. The teardown restores them,
    reads them back, and deletes the Variable. It also runs if the setup failed, because a setup can fail after VideoDB
    has made the change. Without the Variable, the teardown changes nothing, because nothing was changed or everything
    is restored already. If somebody else changed the settings in between, the teardown logs that and leaves them alone.

    With ``on_failure_fail_dagrun=True``, the DAG run fails if the settings could not be restored. Airflow then judges
    the run by its teardown and by the other tasks at its end. So a failed job fails the run only if a task follows the
    job, such as ``report`` above.

    The settings belong to the account, so pairs that overlap share them. The first pair records what it found, and the
    last one to leave restores that. Until then, automatic recharge is on if any of them needs it, with the largest
    threshold and the largest amount that they ask for. Each setup raises a flag, an Airflow Variable
    ``videodb/recharge/…``, and its teardown takes it down. If a DAG run ends without its teardown, the next pair to
    come or leave takes its flag down. Connections of one account have to name the same ``credit_account``.

    Sharing needs Airflow 3.3. Below, only one pipeline of an account should use a pair, with ``max_active_runs=1``.

    A change by a person stays. If a setup begins after it, the last teardown restores the changed settings. VideoDB has
    no compare-and-set, so a change in the moment between a task's read and its write is lost. A change to figures that
    a pair has found or asks for looks like the pair's own.

    To map a pair, put both tasks into a mapped task group.

    The result (XCom ``return_value``) is ``{"changed": true, "before": {…}, "after": {…}}``. Both inner dicts have the
    keys ``enabled``, ``threshold`` and ``amount``, in credits. The ``before`` of a setup is what the last teardown
    restores.

    The task raises :class:`~airflow_provider_videodb.exceptions.VideoDBSettingsNotAppliedError` if the change did not
    take effect. It fails without a retry if a person has to act first, for example if VideoDB refuses the key. An error
    after the first write says which settings may be in effect.

    :param enabled: whether VideoDB recharges automatically; ``True`` if not given.
    :param threshold: credits below which VideoDB recharges. Without it, the stored figure stays. ``None`` is refused.
        (templated)
    :param amount: credits that one recharge adds. Without it, the stored figure stays. ``None`` is refused. (templated)
    :param restore: the output of another such task, ``that_task.output``. This task restores the settings that the
        other one found. It excludes ``enabled``, ``threshold`` and ``amount``. (templated)
    :param videodb_conn_id: the ``videodb`` connection. With ``restore``, the connection of the other task. (templated)
    """

    template_fields: Sequence[str] = ("threshold", "amount", "restore", "videodb_conn_id")
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        enabled: bool | NotGiven = NOT_GIVEN,
        threshold: Credits | NotGiven = NOT_GIVEN,
        amount: Credits | NotGiven = NOT_GIVEN,
        restore: Mapping[str, Any] | XComArg | NotGiven = NOT_GIVEN,
        videodb_conn_id: Text = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enabled = self.plain("enabled", True if enabled is NOT_GIVEN else enabled, parse_flag)
        self.threshold = self.templated("threshold", threshold, parse_credits)
        self.amount = self.templated("amount", amount, parse_credits)
        self.restore = self.templated("restore", restore, parse_settings)
        self.videodb_conn_id = self.templated("videodb_conn_id", videodb_conn_id, parse_text)
        others = {"enabled": enabled, "threshold": threshold, "amount": amount}
        if restore is not NOT_GIVEN:
            self._reject_with_restore([name for name, value in others.items() if value is not NOT_GIVEN])
        #: The task whose settings this one restores; ``None`` if it changes settings itself.
        self._setup_task_id: str | None = None
        self._is_stopped = False
        self.note_given()

    def note_given(self) -> None:
        """Also note the setup task, because a setup that failed leaves no XCom that names it."""
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
        """Make this task a teardown, which also runs if the setup failed."""
        from airflow.providers.common.compat.sdk import TriggerRule

        given = {} if on_failure_fail_dagrun is None else {"on_failure_fail_dagrun": on_failure_fail_dagrun}
        super().as_teardown(setups=setups, **given)
        if self._setup_task_id is not None:
            self.trigger_rule = TriggerRule.ALL_DONE
        return self

    def on_kill(self) -> None:
        """Stop writing, because Airflow lets a killed task run on for seconds."""
        self._is_stopped = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the settings, or restore them."""
        from airflow_provider_videodb.operators._recharge_run import RechargeRun

        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            run = RechargeRun(
                task=self,
                context=context,
                is_restored_later=self.is_setup or any(_restores(task) for task in self.downstream_list),
                is_stopped=lambda: self._is_stopped,
            )
            return run.change() if self._setup_task_id is None else run.bring_back(self._setup_task_id)

    def _reject_with_restore(self, given: Sequence[str]) -> None:
        if given:
            with self._fail_mapped_task():
                raise VideoDBConfigError(
                    f"restore was given together with {', '.join(given)}, but the task that it names determines all "
                    "settings. Nothing was sent. Next step: remove restore, or the other arguments."
                )


def _restores(task: Any) -> bool:
    operator = getattr(task, "operator_class", type(task))
    # The arguments of a mapped task cannot be read here, so it counts as one that restores.
    return issubclass(operator, AutoRechargeOperator) and getattr(task, "restore", task) is not None
