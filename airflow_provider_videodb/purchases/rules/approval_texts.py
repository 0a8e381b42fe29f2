"""Writes what a person reads about an approval. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError, VideoDBApprovalRefusedError
from airflow_provider_videodb.purchases.rules.approval_record import OutcomeStatus
from airflow_provider_videodb.purchases.rules.candidates import currency_name, describe_moment, plain_amount
from airflow_provider_videodb.purchases.rules.limits import largest_purchase
from airflow_provider_videodb.purchases.rules.month import month_of_purchases
from airflow_provider_videodb.purchases.rules.required_action import in_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.approval_record import Ask, Outcome
    from airflow_provider_videodb.purchases.rules.limits import SpendLimits
    from airflow_provider_videodb.purchases.rules.notifier_payment import TaskInstance
    from airflow_provider_videodb.purchases.rules.required_action import Shortage

#: How the headline of each request begins and ends. The credits page finds requests by it.
SUBJECT_START, SUBJECT_END = "Approve ", " for VideoDB credits?"


class ApprovalEvent(StrEnum):
    """What has just happened to an approval request."""

    #: A person has to respond.
    REQUESTED = "requested"
    #: The task failed without an approval.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ApprovalRequest:
    """
    What a person has to approve: ``task.approval_request`` for messages.

    :param amount: US dollars, or whole units of ``currency``.
    :param currency: the currency that the task sends; ``usd`` if it sends none.
    :param reason: why the task buys.
    :param rule: why a person is asked.
    :param month: what this month has bought and may still buy.
    :param asked_by: the task, by DAG, run, task and map index.
    :param respond_by: when no response counts as a refusal (ISO 8601, UTC).
    :param approvers: the ids of the users who may respond; empty if Airflow does not restrict them.
    :param url: the page with the buttons.
    :param event: what has happened: ``requested`` or ``failed``.
    :param note: why the task failed, and what a person should do next; ``None`` if it has not.
    """

    amount: int
    currency: str
    reason: str
    rule: str
    month: str
    asked_by: tuple[str, str, str, int | None]
    respond_by: str
    approvers: tuple[str, ...]
    url: str
    event: ApprovalEvent = ApprovalEvent.REQUESTED
    note: str | None = None

    @classmethod
    def of(cls, ask: Ask, *, ti: TaskInstance, reason: str = "", rule: str = "", month: str = "") -> ApprovalRequest:
        """
        Return what Airflow shows.

        :param ti: the task instance that asks.
        """
        is_mapped = ti.map_index is not None and ti.map_index >= 0
        return cls(
            amount=ask.amount,
            currency=ask.currency or "usd",
            reason=reason,
            rule=rule,
            month=month,
            asked_by=(ti.dag_id, ti.run_id, ti.task_id, ti.map_index if is_mapped else None),
            respond_by=ask.until,
            approvers=ask.approvers,
            url=f"{ti.log_url.partition('?')[0]}/required_actions",
        )

    @property
    def price(self) -> str:
        """The amount for a person: ``50 USD``."""
        return f"{self.amount} {currency_name(self.currency)}"

    @property
    def subject(self) -> str:
        """The headline."""
        return f"{SUBJECT_START}{self.price}{SUBJECT_END}"

    def body(self, ask: Ask, *, now: datetime) -> str:
        """Return the text beside the buttons, in Markdown."""
        dag_id, run_id, task_id, map_index = self.asked_by
        who = f"DAG {in_markdown(dag_id)}, run {in_markdown(run_id)}, task {in_markdown(task_id)}"
        rows = {
            "Amount": f"**{ask.price}**",
            "Reason": in_markdown(self.reason),
            "This month": in_markdown(self.month),
            "Asked by": who if map_index is None else f"{who}, map index {map_index}",
            "Why you are asked": in_markdown(self.rule),
            "Respond by": describe_moment(datetime.fromisoformat(self.respond_by)),
        }
        lines = "\n".join(f"- {name}: {value}" for name, value in rows.items())
        approve, refuse = ask.options
        return (
            f"Nothing has been bought yet.\n\n{lines}\n\n"
            f"**{approve}** makes one payment link for at most {ask.price}. An account with a stored card is charged "
            f"at once. **{refuse}**, or no response in time, fails the task without a purchase.\n\n"
            f"The figures were read at {describe_moment(now)}."
        )


def describe_month(limits: SpendLimits, *, checkouts: Sequence[Checkout], now: datetime) -> str:
    """Say what was bought, and what the limit leaves."""
    month = month_of_purchases(checkouts, made_at=now, now=now)
    bought = (
        f"{plain_amount(month.paid)} USD are paid and {plain_amount(month.payable)} USD can still be paid in "
        f"{month.month} (UTC)."
    )
    if month.unknown:
        count = len(month.unknown)
        bought += f" {count} more {'checkout' if count == 1 else 'checkouts'} cannot be added up in USD."
    if limits.monthly_topup_limit is None:
        return f"{bought} {_capital(limits.connection)} has no monthly limit."
    left = max(limits.monthly_topup_limit - month.total, limits.monthly_topup_limit * 0)
    largest = largest_purchase(limits, checkouts=checkouts, now=now)
    most = "" if largest is None or largest >= left else f", and one purchase may cost {largest} USD at most"
    return (
        f"{bought} {_capital(limits.connection)} allows {plain_amount(limits.monthly_topup_limit)} USD, so "
        f"{plain_amount(left)} USD are left before this purchase{most}."
    )


def describe_shortage(shortage: Shortage, *, balance: Decimal) -> str:
    """Say which credits are missing."""
    needed, available, missing = map(plain_amount, (shortage.needed, shortage.available, shortage.missing))
    account = "" if balance == shortage.available else f" of the {plain_amount(balance)} on the account"
    return f"{needed} credits are needed. {available} are available{account}, so {missing} are missing."


def refused_error(outcome: Outcome, ask: Ask) -> VideoDBApprovalRefusedError:
    """Return the error for a refused purchase."""
    next_step = "Next step: clear this task if the credits are still needed. It then asks again."
    match outcome.status:
        case OutcomeStatus.REFUSED:
            when = describe_moment(datetime.fromisoformat(outcome.at))
            what = f"{outcome.by} refused to buy credits for {ask.price} at {when}."
        case OutcomeStatus.TIMED_OUT:
            until = describe_moment(datetime.fromisoformat(ask.until))
            late = "" if outcome.by is None else f" {outcome.by} approved it too late."
            what = (
                f"Nobody approved {ask.price} for credits by {until} (payment_timeout).{late} That counts as a refusal."
            )
        case _:
            what = (
                f"Airflow returned a response that this task did not offer: {outcome.response}. It offered "
                f"{' and '.join(map(repr, ask.options))}. That counts as a refusal."
            )
    return VideoDBApprovalRefusedError(f"{what} Nothing was bought. {next_step}")


def outgrown_error(ask: Ask, needed: Ask) -> VideoDBApprovalMissingError:
    """Return the error for an insufficient approval."""
    then, now = ask.price, needed.price
    if ask.conn_id != needed.conn_id:
        then, now = f"{then} on connection {ask.conn_id}", f"{now} on connection {needed.conn_id}"
    return VideoDBApprovalMissingError(
        f"This task now needs {now}, and its approval request says {then}. Airflow cannot change the text of a "
        "request, so this task cannot ask again. Nothing was bought. Next step: start a new DAG run. It asks for what "
        "is needed then."
    )


def other_request_error(ask: Ask) -> VideoDBApprovalMissingError:
    """Return the error for a task with another request."""
    who = f" to {', '.join(ask.approvers)}" if ask.approvers else ""
    return VideoDBApprovalMissingError(
        f"Airflow shows an earlier request of this task, and not the one to approve {ask.price}{who}. It keeps one "
        "request per task and DAG run, and cannot change it. Nothing was bought. Next step: start a new DAG run. It "
        "asks again."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
