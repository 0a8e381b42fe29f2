"""Setting automatic recharge, and bringing back what was set before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.operators.common import GivenArguments, no_retry_for_what_a_person_must_mend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

#: Where an AutoRechargeOperator keeps what it found, until it is done.
_FOUND = "videodb_auto_recharge_found"


class AutoRechargeOperator(GivenArguments):
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
        back = AutoRechargeOperator(task_id="recharge_back", restore=on.output)
        on >> heavy_job >> back.as_teardown(setups=on)

    Returns (XCom ``return_value``) ``{"changed": true, "before": {…}, "after": {…}}`` with ``enabled``, ``threshold``
    and ``amount`` in each of the two, in credits.

    Raises :class:`~airflow_provider_videodb.exceptions.VideoDBSettingsNotAppliedError` if the settings did not take
    effect, and ``AirflowFailException``, which Airflow does not retry, for what only a person can mend.

    :param enabled: whether VideoDB shall recharge by itself.
    :param threshold: credits below which it does. (templated)
    :param amount: credits that it adds. (templated)
    :param restore: what another such task returned: bring back the settings it found, instead of the above. (templated)
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    """

    template_fields: Sequence[str] = ("threshold", "amount", "restore", "videodb_conn_id")
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        enabled: bool = True,
        threshold: float | str | XComArg | None = None,
        amount: float | str | XComArg | None = None,
        restore: dict[str, Any] | XComArg | None = None,
        videodb_conn_id: str = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enabled = enabled
        self.threshold = threshold
        self.amount = amount
        self.restore = restore
        self.videodb_conn_id = videodb_conn_id
        self.note_given_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, write what differs, read back."""
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
        from airflow_provider_videodb.models import AutoRecharge
        from airflow_provider_videodb.stores import open_store

        with no_retry_for_what_a_person_must_mend():
            self.refuse_empty_arguments()
            enabled, threshold, amount = self._wanted()
            client = VideoDBBillingHook(self.videodb_conn_id).get_conn()
            current = client.get_auto_recharge()
            store = open_store(context)
            # A try that died after writing has left here what it found, so that it can still be brought back.
            noted = store.get(_FOUND)
            before = current if noted is None else AutoRecharge.from_api(noted)
            wanted = current.changed_to(enabled=enabled, threshold=threshold, amount=amount)
            if wanted != current:
                store.set(_FOUND, before.to_dict())
                current = client.set_auto_recharge(
                    enabled=wanted.enabled, threshold=wanted.threshold, amount=wanted.amount
                )
                noted = before.to_dict()
            if noted is not None:
                store.delete(_FOUND)
            self.log.info("Auto-recharge was %s and is now %s", before.to_dict(), current.to_dict())
            return {"changed": before != current, "before": before.to_dict(), "after": current.to_dict()}

    def _wanted(self) -> tuple[bool, Decimal | None, Decimal | None]:
        from airflow_provider_videodb.arguments import credits_argument, flag_argument, settings_argument

        given: Any = {"enabled": self.enabled, "threshold": self.threshold, "amount": self.amount}
        if self.restore is not None:
            given = settings_argument("restore", self.restore)
        threshold, amount = given["threshold"], given["amount"]
        if self.restore is not None and not amount:
            # The account had no figures, and there is no call to take them away again: they stay, disabled.
            threshold = amount = None
        return (
            flag_argument("enabled", given["enabled"]),
            None if threshold is None else credits_argument("threshold", threshold),
            None if amount is None else credits_argument("amount", amount),
        )
