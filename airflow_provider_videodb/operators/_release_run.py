"""The work of a ``ReleaseCreditsOperator`` in a worker."""

from __future__ import annotations

from decimal import ROUND_UP, Context, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBTryOverError
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.messages import number
from airflow_provider_videodb.holds.rules.releasing import release_gate
from airflow_provider_videodb.hooks.arguments import parse_credits
from airflow_provider_videodb.operators._gate_holders import holders_of_gate
from airflow_provider_videodb.purchases.current_try import CurrentTry

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context as TaskContext

    from airflow_provider_videodb.holds.rules.releasing import Released
    from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator

#: What a template renders to if the job left no result.
_NOTHING = (None, "", "None")
#: A finer figure may not fit into the key of a flag.
_FINEST = Decimal("1e-20")


class ReleaseRun:
    """
    Releases what a gate holds.

    :param task: with its template rendered.
    :param is_stopped: says whether the worker was told to stop.
    """

    def __init__(self, task: ReleaseCreditsOperator, context: TaskContext, *, is_stopped: Callable[[], bool]) -> None:
        self._task = task
        self._context = context
        self._current_try = CurrentTry(context["ti"], is_stopped=is_stopped)
        self._ledger = Ledger(None)

    def release(self) -> dict[str, Any]:
        """
        Release all holds of the gate.

        :raises VideoDBConfigError: after the release if ``spent`` is not a number of credits.
        """
        spent, mistake = self._spent
        holders, view = self._holders(), self._ledger.pages()
        # If the worker was frozen before the listing, the list may have the hold of a later try of the gate.
        self._check_try()
        released = self._ledger.run(
            release_gate(
                view,
                holders,
                settlement_ms=self._ledger.settlement_ms,
                why=f"task {self._task.task_id}",
                spent=spent,
            )
        )
        self._report(released)
        if mistake is not None:
            raise mistake
        return {
            "released": to_json_number(released.credits),
            "counted": to_json_number(released.counted),
            "holds": len(released.holds),
        }

    def _check_try(self) -> None:
        try:
            self._current_try.check()
        except VideoDBTryOverError:
            raise VideoDBTryOverError(
                "A person marked or cleared this task, or a newer try of it has begun. This try released nothing. Next "
                "step: open the newest try of the task."
            ) from None

    @cached_property
    def _spent(self) -> tuple[Decimal | None, VideoDBConfigError | None]:
        """What the jobs spent, or the error about it."""
        value = self._task.spent
        if value in _NOTHING:
            return None, None
        try:
            return _for_key(parse_credits("spent", value)), None
        except VideoDBConfigError:
            return None, VideoDBConfigError(
                f"spent is {repr(value)[:200]}; it must be a number of credits, zero or more. The gate's credits were "
                "released, and all of them count until the balance shows what was spent. Next step: correct spent, or "
                "the task that supplies it, for the next run."
            )

    def _holders(self) -> str:
        """Return the holders to release."""
        gate = self._task.gate
        found = holders_of_gate(self._context, gate)
        if not found.is_mapped:
            return found.all
        if found.shares_group or found.pairs:
            return found.same_index
        raise VideoDBConfigError(
            f"Task {self._task.task_id!r} is mapped, and its gate {gate!r} is not mapped with it. Its first map index "
            "would release the credits of all others. Nothing was released. Next step: move the release out of the "
            "mapped task group, or the gate into it."
        )

    def _report(self, released: Released) -> None:
        if not released.holds:
            self._task.log.info("Nothing to release for task %s.", self._task.gate)
            self._task.log.info("It holds no credits in this DAG run, or they are released already.")
            return
        if self._task.spent_is_given and self._spent[0] is None:
            self._task.log.warning("spent has no value, so all credits count until they settle.")
            self._task.log.warning("The job returned nothing, or spent names a wrong task id.")
        self._task.log.info("Released %s credits of task %s.", number(released.credits), self._task.gate)
        self._task.log.info("Counted until the balance shows what was spent: %s.", number(released.counted))


def _for_key(spent: Decimal) -> Decimal:
    """
    Return the figure in a form that fits a key.

    It is rounded up, so that it never counts too little.
    """
    is_fine = spent.as_tuple().exponent < _FINEST.as_tuple().exponent  # type: ignore[operator]  # both are finite
    # A key cannot have the sign of a negative zero.
    return (spent.quantize(_FINEST, ROUND_UP, Context(prec=60)) if is_fine else spent).copy_abs()
