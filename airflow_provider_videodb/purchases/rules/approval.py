"""
Decides which purchases need an approval. Pure.

Airflow keeps one request per task instance, for all its tries, and never changes its text. So the option that a person
chooses names the amount. A purchase up to that amount is approved, and a larger one is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError
from airflow_provider_videodb.purchases.rules.approval_record import Approval, Ask, Outcome, OutcomeStatus
from airflow_provider_videodb.purchases.rules.approval_texts import other_request_error, outgrown_error, refused_error
from airflow_provider_videodb.purchases.rules.candidates import currency_name, plain_amount
from airflow_provider_videodb.purchases.rules.month import is_usd
from airflow_provider_videodb.purchases.rules.required_action import name_of

#: A response that is not understood is quoted up to this many characters.
_LONGEST_QUOTE = 100


@dataclass(frozen=True, kw_only=True)
class ApprovalPolicy:
    """
    Which purchases need an approval. The strictest rule applies.

    :param always: whether the task asks for each purchase.
    :param task_above: US dollars above which the task asks.
    :param connection_above: US dollars above which each task with the connection asks.
    :param conn_id: the connection, for texts.
    """

    always: bool = False
    task_above: Decimal | None = None
    connection_above: Decimal | None = None
    conn_id: str | None = None

    def asks_for(self, amount: int, *, currency: str | None) -> bool:
        """
        Say whether a person has to approve this purchase.

        :param currency: of the purchase. A currency other than the US dollar cannot be compared, so a person has to
            decide.
        """
        above = self._above
        return above is not None and (not is_usd(currency or "usd") or amount > above)

    @property
    def asks_for_anything(self) -> bool:
        """Whether any purchase has to be approved."""
        return self._above is not None

    @property
    def rule(self) -> str:
        """The rule that asks, the connection's if several do."""
        if self.connection_above is not None and self.connection_above == self._above:
            name = "the connection" if self.conn_id is None else f"connection {self.conn_id}"
            return f"approval_above of {name} is {plain_amount(self.connection_above)} USD"
        if self.always:
            return "this task asks before each purchase (approval=True)"
        return f"approval_above of this task is {plain_amount(self._above or 0)} USD"

    @property
    def _above(self) -> Decimal | None:
        rules = (Decimal(0) if self.always else None, self.task_above, self.connection_above)
        return min((above for above in rules if above is not None), default=None)


def is_approved(policy: ApprovalPolicy, approval: Approval, amount: int, *, currency: str | None) -> bool:
    """Say whether a purchase needs no further approval."""
    is_free = not policy.asks_for(amount, currency=currency)
    return is_free or approval.covers(amount, currency=currency, conn_id=policy.conn_id)


def check_approved(policy: ApprovalPolicy, approval: Approval, amount: int, *, currency: str | None) -> None:
    """
    Refuse a purchase that nobody approved, before its POST.

    :raises VideoDBApprovalMissingError: naming the rule that asks and the operators that can ask.
    """
    if not is_approved(policy, approval, amount, currency=currency):
        raise missing_approval_error(policy, amount, currency=currency)


def missing_approval_error(policy: ApprovalPolicy, amount: int, *, currency: str | None) -> VideoDBApprovalMissingError:
    """Return the error for a purchase without an approval."""
    return VideoDBApprovalMissingError(
        f"A person has to approve {amount} {currency_name(currency or 'usd')}, because {policy.rule}. Nothing was "
        "bought. Next step: buy with TopupOperator or EnsureCreditsOperator, which ask a person first."
    )


def check_unpriced(what: str, policy: ApprovalPolicy) -> None:
    """
    Refuse an unknown price, if purchases need approvals.

    :param what: begins a sentence, such as ``A subscription``.
    :raises VideoDBApprovalMissingError: with what to use instead.
    """
    if policy.asks_for_anything:
        raise VideoDBApprovalMissingError(
            f"{what} cannot be approved, because its price is unknown beforehand, and {policy.rule}. Nothing was "
            "sent. Next step: buy with TopupOperator or EnsureCreditsOperator, which ask a person first. Or ask the "
            "owner of the connection to do this in VideoDB's console."
        )


def next_request(
    approval: Approval,
    amount: int,
    *,
    currency: str | None,
    now: datetime,
    timeout: float,
    max_tries: int,
    conn_id: str | None,
    approvers: tuple[str, ...] = (),
) -> Ask:
    """
    Return the request for a purchase without an approval.

    A retry continues the request of the last try. Only a clear by a person asks again after a refusal.

    :param timeout: seconds that a person has to respond.
    :param max_tries: see :class:`~.approval_record.Ask`.
    :param conn_id: the connection that the task buys on.
    :param approvers: the ids of the users who may respond.
    :raises VideoDBApprovalRefusedError: if it was refused, and no person has cleared the task since.
    :raises VideoDBApprovalMissingError: if Airflow shows a request for a smaller amount, on another connection or to
        others, which nobody can change.
    """
    asked, outcome = approval.asked, approval.outcome
    new = Ask(
        amount=amount,
        currency=currency,
        at=now.isoformat(),
        until=(now + timedelta(seconds=timeout)).isoformat(),
        max_tries=max_tries,
        approvers=approvers,
        conn_id=conn_id,
    )
    if asked is None:
        return new
    if outcome is not None and outcome.status is not OutcomeStatus.APPROVED and outcome.max_tries == max_tries:
        raise refused_error(outcome, asked)
    if not asked.is_enough_for(amount, currency=currency, conn_id=conn_id):
        raise outgrown_error(asked, new)
    if asked.approvers != approvers:
        raise other_request_error(new)
    if approval.is_open and asked.max_tries == max_tries:
        return asked
    return replace(new, amount=asked.amount, currency=asked.currency, is_shown=approval.is_open and asked.is_shown)


def read_response(event: object, ask: Ask, *, now: datetime, max_tries: int) -> Outcome:
    """
    Return the outcome that Airflow's event reports.

    Only the option that names the amount approves it.

    An approval after the time in the request is too late, because the request says so. One without a moment counts from
    now on.

    :param event: what Airflow resumes the task with.
    :param max_tries: see :class:`Outcome`.
    """
    if not isinstance(event, Mapping):
        return _outcome(OutcomeStatus.NOT_UNDERSTOOD, now, max_tries, response=event)
    if event.get("timedout") or event.get("error_type") == "timeout":
        return _outcome(OutcomeStatus.TIMED_OUT, now, max_tries)
    user, chosen = event.get("responded_by_user"), event.get("chosen_options")
    # A name alone does not say which user of Airflow approved.
    has_id = isinstance(user, Mapping) and bool(str(user.get("id") or "").strip())
    by = name_of(user) if has_id else None
    option = chosen[0] if isinstance(chosen, list | tuple) and len(chosen) == 1 else None
    approve, refuse = ask.options
    known = {approve: OutcomeStatus.APPROVED, refuse: OutcomeStatus.REFUSED}
    is_plain = "error" not in event and not event.get("params_input")
    if not is_plain or by is None or not isinstance(option, str) or option not in known:
        seen = event.get("error") if "error" in event else chosen
        return _outcome(OutcomeStatus.NOT_UNDERSTOOD, now, max_tries, by=by, response=seen)
    at = _moment(event.get("responded_at")) or now
    is_late = at > datetime.fromisoformat(ask.until) and option == approve
    return _outcome(OutcomeStatus.TIMED_OUT if is_late else known[option], at, max_tries, by=by)


def _outcome(
    status: OutcomeStatus, at: datetime, max_tries: int, *, by: str | None = None, response: object = None
) -> Outcome:
    is_quoted = status is OutcomeStatus.NOT_UNDERSTOOD
    return Outcome(
        status=status,
        by=by,
        at=at.isoformat(),
        max_tries=max_tries,
        response=ascii(response)[:_LONGEST_QUOTE] if is_quoted else None,
    )


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return moment if isinstance(moment, datetime) and moment.tzinfo is not None else None
