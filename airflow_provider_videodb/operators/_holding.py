"""
What all gates with a hold share.

These are the release after the jobs, and the guard in front of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_videodb.hooks.arguments import HoldMode
    from airflow_provider_videodb.operators._arguments import Credits
    from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator

    class _Task(BaseOperator):
        hold: HoldMode

else:
    _Task = object

#: How often a release is retried, unless the DAG author says otherwise.
_RETRIES = 3


class HoldsCredits(_Task):
    """
    Mix the release and the guard into a gate.

    :meta private:
    """

    def held(self, *, spent: Credits | None = None, **release: Any) -> ReleaseCreditsOperator:
        """
        Return this gate's teardown, which releases the credits.

        The jobs of the hold go between the two tasks, most easily as the body of a ``with`` statement::

            with gate.held():
                upload() >> index()

        The release runs when all jobs have ended, whether they succeeded, failed, or were marked by a person. It also
        runs if this gate failed. A failed job still fails the DAG run. A failed release does not, because the end of
        the DAG run releases the credits as well.

        If the jobs return what they spent, name them before the release::

            job = index()
            gate >> job >> gate.held(spent=job)

        A mapped gate, made by ``.partial(…).expand(…)``, has no such method. Use
        ``ReleaseCreditsOperator(task_id=…, gate=gate).as_teardown(setups=gate)``.

        :param spent: credits that the jobs used; see
            :class:`~airflow_provider_videodb.operators.release_credits.ReleaseCreditsOperator`. (templated)
        :param release: more arguments of the release, such as ``retries``. Its task id is that of the gate, followed
            by ``_release``.
        :raises VideoDBConfigError: if this gate holds nothing, or has a release already.
        """
        from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator

        self._check_hold("held()")
        is_in_dag: bool = self.has_dag()  # type: ignore[no-untyped-call]  # Airflow's method
        for task in self.downstream_list if is_in_dag else ():
            if isinstance(task, ReleaseCreditsOperator) and task.gate == self.task_id:
                raise VideoDBConfigError(
                    f"Task {self.task_id!r} has the release {task.task_id!r} already, and the first release ends the "
                    "hold. Nothing was held. Next step: put all jobs of the hold into one `with gate.held():`."
                )
        place = {"dag": self.dag, "task_group": self.task_group} if is_in_dag else {}
        arguments = {"task_id": f"{self.label}_release", "retries": _RETRIES} | place | release
        return ReleaseCreditsOperator(gate=self.task_id, spent=spent, **arguments).as_teardown(setups=self)

    def require_hold(self) -> HoldGuard:
        """
        Return a guard for a job's ``pre_execute``.

        The guard fails the job without a retry if this gate holds no credits in the same DAG run. Otherwise a job that
        is cleared without its gate would run without a hold::

            @task(pre_execute=gate.require_hold())
            def index(): ...

        A deferred job that resumes without its hold continues, and its log says so. With ``hold="audit"``, the gate
        holds nothing, so the guard lets every job run.

        :raises VideoDBConfigError: if this gate holds nothing.
        """
        self._check_hold("require_hold()")
        return HoldGuard(self.task_id, is_audit=self.hold == "audit")

    def reject_hold_that_ignores_others(self, *, respect_holds: bool) -> None:
        """
        Refuse ``hold=True`` together with ``respect_holds=False``.

        A hold counts on credits that nobody else holds, so a gate cannot hold credits and ignore the holds of others.

        :raises VideoDBConfigError: names both arguments.
        """
        if self.hold is True and not respect_holds:
            raise VideoDBConfigError(
                "hold is True together with respect_holds=False, but a hold needs credits that nobody else holds. "
                "Nothing was held. Next step: remove one of the two arguments."
            )

    def _check_hold(self, method: str) -> None:
        if not self.hold:
            raise VideoDBConfigError(
                f"Task {self.task_id!r} holds no credits, so {method} has nothing to do. Nothing was held. Next step: "
                f"give the task hold=True, or remove {method}."
            )


class HoldGuard:
    """
    Lets a job start while its gate holds credits.

    :param gate: the task id of the gate.
    :param is_audit: whether the gate holds nothing, so that every job may start.

    :meta private:
    """

    def __init__(self, gate: str, *, is_audit: bool) -> None:
        self.gate = gate
        self.is_audit = is_audit

    def __call__(self, context: Context) -> None:
        """
        Check the hold.

        :raises AirflowFailException: if there is none.
        :raises VideoDBError: if Airflow does not respond. A retry may help.
        """
        from airflow_provider_videodb.operators._hold_check import check_hold

        check_hold(context, self.gate, is_audit=self.is_audit)
