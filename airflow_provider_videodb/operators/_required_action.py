"""
Shows a payment request, from a worker.

Airflow keeps one request per task instance. It survives retries and clears, and Airflow never changes its text or its
options. Sending one again only removes the last response, so that the old request is open again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError, without_next_step
from airflow_provider_videodb.hooks.log_page import log_lines
from airflow_provider_videodb.purchases.rules.required_action import (
    CANCEL,
    not_understood,
    payment_action,
    refused_error,
)
from airflow_provider_videodb.purchases.variables import ask_airflow, describe_cause
from airflow_provider_videodb.triggers._required_action import ActionState

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_videodb.purchases.executor import PurchaseExecutor
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from airflow_provider_videodb.purchases.rules.required_action import RequiredAction, Response, Shortage


def show_action(ti: Any, action: RequiredAction, log: Logger) -> bool:
    """
    Show a request, and say whether Airflow shows one.

    It never fails, because a task also waits without the request. A task that showed another request before must not
    call this, because that request would be open again.
    """
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload

    try:
        shown = ask_airflow(
            CreateHITLDetailPayload(
                ti_id=ti.id,
                options=list(action.options),
                subject=action.subject,
                body=action.body,
                defaults=None,
                multiple=False,
                params={},
                assigned_users=[],
            )
        )
        is_current = action.is_shown_by(body=shown.body, options=shown.options)
    except Exception as err:  # noqa: BLE001 - showing a request must not end a wait for money
        log.warning("Airflow did not show the payment in Required Actions.")
        log.warning("The task waits without it. The cause: %s", describe_cause(err))
        return False
    if is_current:
        log.info("The payment request is in Airflow's Required Actions.")
    else:
        log.warning("Airflow shows the payment request of an earlier try.")
        log.warning("The amount and the link in this log are the valid ones.")
    return True


def show_payment(
    executor: PurchaseExecutor, ti: Any, purchase: Purchase, shortage: Shortage | None, log: Logger
) -> ActionState | None:
    """
    Show the payment request once.

    A retry does not send it again, because that would remove a response that no worker has read. After a clear by a
    person, it is sent again. A paid purchase needs nobody, so its trigger closes the request.

    :return: what the trigger does about the request.
    """
    if purchase.paid:
        return ActionState.OVER
    if purchase.action_max_tries == ti.max_tries:
        return ActionState.OPEN
    if not show_action(ti, payment_action(purchase, shortage=shortage, task_url=ti.log_url), log):
        return None
    try:
        executor.record_action(purchase, max_tries=ti.max_tries)
    except VideoDBError as err:
        log_lines(log.warning, without_next_step(str(err)))
        log.warning("So a retry of the task shows the request again.")
    return ActionState.OPEN


def paid_before_cancel(executor: PurchaseExecutor, response: Response, log: Logger) -> Purchase:
    """
    Return the purchase if payment came before *Cancel*.

    :raises VideoDBPaymentRefusedError: if nobody has paid.
    """
    if response.chosen != (CANCEL,):
        raise not_understood(response.chosen)
    purchase, is_checked = executor.load_existing(), True
    if purchase is None:
        raise refused_error(None, response, is_checked=is_checked)
    try:
        purchase, _ = executor.reconcile(purchase)
    except VideoDBError as err:
        # The person has decided, and an error that is retried would ask again.
        log_lines(log.warning, without_next_step(str(err)))
        is_checked = False
    if not purchase.paid:
        raise refused_error(purchase, response, is_checked=is_checked)
    log.info("%s chose %s, but the checkout is paid. So the task continues.", response.by, CANCEL)
    return purchase
