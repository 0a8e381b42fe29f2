"""Ends the hold of a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.hooks.arguments import parse_credits, parse_text
from airflow_provider_videodb.operators._arguments import RejectsEmptyTemplates, fail_without_retry
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self, TypeAlias

    from airflow.providers.common.compat.sdk import BaseOperator, Context
    from airflow.sdk import XComArg
    from airflow.sdk.definitions.mappedoperator import MappedOperator
    from jinja2 import Environment

    from airflow_provider_videodb.operators._arguments import Credits

    #: A gate, its output, or its task id.
    Gate: TypeAlias = BaseOperator | MappedOperator | XComArg | str


class ReleaseCreditsOperator(RejectsEmptyTemplates):
    """
    Release the credits that a gate holds.

    The gate is a task of the same DAG run. Released credits still count as held for the settlement time of the gate's
    connection, because VideoDB's balance shows spending late. The task also takes the gate out of the queue. It needs
    Airflow 3.3, but no connection.

    ``gate.held()`` makes this task the teardown of a gate, so few DAG files need this class. A mapped gate does::

        gate = CreditThresholdSensor.partial(task_id="credits", hold=True).expand(threshold=[50, 80])
        release = ReleaseCreditsOperator(task_id="release", gate=gate)
        gate >> jobs >> release.as_teardown(setups=gate)

    As a teardown, the task also runs if the gate or a job failed, or if a person marked it. As an ordinary task it
    follows its trigger rule. A hold that no task releases ends with the DAG run.

    Without ``spent``, all credits of the hold count while they settle. With it, only that many do. It has to include
    the failed tries of the job. If the job left no such result, or if the template cannot be rendered, the task logs a
    warning, and all credits count. If the result is not a number of credits, zero or more, all credits count as well.
    Then the task fails after the release, without a retry, so that a person sees the mistake. All credits also count if
    the gate holds several times, because it is unknown which hold the jobs used. This is the case with several map
    indexes, and after the gate was cleared while a job ran.

    In a mapped task group, the task releases the hold of the gate with the same map index. A task outside of the group
    releases those of all map indexes. A mapped task cannot release the hold of a gate outside of its group, because its
    first map index would release it for all others.

    A retry releases what is left, so it is harmless. If nothing is held, the task succeeds and says so. The result
    (XCom ``return_value``) is ``{"released": 120, "counted": 30, "holds": 1}``: credits that were released, how many of
    them still count, and how many holds there were. The journal of holds has one line for each.

    :param gate: the gate, its ``output``, or its whole task id. Only a gate or its output puts this task after it.
    :param spent: credits that the jobs of the hold used. ``None`` if unknown. (templated)
    """

    template_fields: Sequence[str] = ("spent",)
    ui_color = "#d5f5e3"

    def __init__(self, *, gate: Gate, spent: Credits | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = self.plain("gate", _task_id_of(gate), parse_text)
        self.spent = self.templated("spent", spent, parse_credits, may_be_none=True)
        if not VARIABLES_CAN_BE_LISTED:
            raise VideoDBConfigError(
                "ReleaseCreditsOperator needs Airflow 3.3, because an older one cannot list its Variables. Nothing was "
                "held. Next step: upgrade Airflow, or remove the task."
            )
        self._is_stopped = False
        #: The ids of the tasks before the body of a ``with`` statement, and in it.
        self._before: frozenset[str] = frozenset()
        self._body: frozenset[str] = frozenset()
        task = _task_of(gate)
        # Airflow constructs a mapped task once more when it runs, and then its place in the DAG is known.
        if task is not None and not kwargs.get("_airflow_from_mapped"):
            self.set_upstream(task)

    @property
    def spent_is_given(self) -> bool:
        """Whether the DAG author gave ``spent``."""
        return self._given["spent"]

    def as_teardown(
        self,
        *,
        setups: BaseOperator | Iterable[BaseOperator] | None = None,
        on_failure_fail_dagrun: bool | None = None,
    ) -> Self:
        """
        Make this task a teardown.

        It also runs if the gate failed after it held the credits.
        """
        from airflow.providers.common.compat.sdk import TriggerRule

        given = {} if on_failure_fail_dagrun is None else {"on_failure_fail_dagrun": on_failure_fail_dagrun}
        super().as_teardown(setups=setups, **given)
        self.trigger_rule = TriggerRule.ALL_DONE
        return self

    def __enter__(self) -> Any:
        """Begin a ``with`` body, whose tasks are the jobs."""
        self._before = frozenset(self.dag.task_ids)
        return super().__enter__()  # type: ignore[no-untyped-call]  # Airflow's method

    def __exit__(self, *error: object) -> None:
        """
        Put the jobs between the gate and this release.

        Airflow leaves out mapped tasks, and tasks after an inner ``with``. Without the gate before them and the release
        after them, they would run without a hold.
        """
        from airflow.sdk.definitions._internal.setup_teardown import SetupTeardownContext

        created = [task for task in self.dag.tasks if task.task_id not in self._before]
        self._body = frozenset(task.task_id for task in created)
        inner = [task._body for task in created if isinstance(task, ReleaseCreditsOperator) and task is not self]  # noqa: SLF001
        known = {task.task_id for task in SetupTeardownContext.context_map.get(self, [])}.union(*inner)
        for task in created:
            if task.task_id not in known:
                # Setups and teardowns are left out there.
                SetupTeardownContext.update_context_map(task)
        super().__exit__(*error)  # type: ignore[no-untyped-call]  # Airflow's method

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """
        Render as Airflow does, but ignore a broken template.

        The credits have to be released nevertheless.
        """
        self.note_given()
        spent, self.spent = self.spent, None
        super().render_template_fields(context, jinja_env)
        env = self.get_template_env() if jinja_env is None else jinja_env
        try:
            self.spent = (
                spent(context=context, jinja_env=env) if callable(spent) else self.render_template(spent, context, env)
            )
        except Exception as err:  # noqa: BLE001 - the job may have left nothing to render
            self.log.warning("spent cannot be rendered: %s", str(err)[:200])

    def on_kill(self) -> None:
        """
        Stop before the release.

        Airflow lets a killed task run for some seconds more.
        """
        self._is_stopped = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Release the credits."""
        from airflow_provider_videodb.operators._release_run import ReleaseRun

        with fail_without_retry(self.log):
            return ReleaseRun(self, context, is_stopped=lambda: self._is_stopped).release()


def _task_of(gate: Gate) -> Any:
    if isinstance(gate, str):
        return None
    return getattr(gate, "operator", gate)


def _task_id_of(gate: Gate) -> Any:
    task = _task_of(gate)
    return gate if task is None else getattr(task, "task_id", gate)
