"""Writes the messages about approvals and payments. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow_provider_videodb.api.urls import is_web_address
from airflow_provider_videodb.purchases.rules.approval_texts import ApprovalEvent, ApprovalRequest
from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentEvent
from airflow_provider_videodb.version_compat import LISTED_REQUESTS_FIT_A_PHONE

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentRequest

#: Amazon's SNS takes no longer subject, and a mail program shows no more.
_LONGEST_SUBJECT = 100
#: Some services read these as markup, as a template, or as a mention of a person, even inside a link.
_UNSAFE_IN_LINK = re.compile(r"""[<>"'`{}|^@\\\s]""")
#: Events after which somebody can still pay.
_PAYABLE = (PaymentEvent.REQUESTED, PaymentEvent.REMINDER, PaymentEvent.FAILED)
_TITLES = {
    PaymentEvent.REQUESTED: "Please pay {price} for VideoDB credits",
    PaymentEvent.REMINDER: "Reminder: please pay {price} for VideoDB credits",
    PaymentEvent.PAID: "Paid: {price} for VideoDB credits",
    PaymentEvent.EXPIRED: "Expired: the link to pay {price} for VideoDB credits",
    PaymentEvent.FAILED: "Not paid: {price} for VideoDB credits",
    PaymentEvent.NOT_NEEDED: "No longer needed: {price} for VideoDB credits",
}
_TEXTS = {
    PaymentEvent.REQUESTED: "The task {task} of the DAG {dag} asks for this payment.",
    PaymentEvent.REMINDER: "The task {task} of the DAG {dag} still waits for this payment.",
    PaymentEvent.PAID: "Thank you. No further payment is needed.",
    PaymentEvent.EXPIRED: "Nobody paid in time, so the link has expired.",
    PaymentEvent.FAILED: "The task {task} of the DAG {dag} has stopped waiting for this payment.",
    PaymentEvent.NOT_NEEDED: ("Please do not pay now. The account has enough credits, and the pipeline continues."),
}


@dataclass(frozen=True, kw_only=True)
class Link:
    """
    A link of a message.

    :param url: a web address without a character that a service could read as markup.
    """

    label: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    One message about one purchase, without markup.

    :param subject: one line.
    :param title: the subject without the DAG.
    :param paragraphs: what has happened, and what to do next.
    :param facts: names and values.
    :param button: the page where a person pays or responds; ``None`` if nobody has to.
    :param task: another page of Airflow: of the task, or a list with the request that fits a phone.
    """

    subject: str
    title: str
    paragraphs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    button: Link | None
    task: Link | None

    @property
    def links(self) -> tuple[Link, ...]:
        """The links of the message, the button first."""
        return tuple(link for link in (self.button, self.task) if link is not None)


def message_of(said: PaymentRequest | ApprovalRequest) -> Message:
    """Return the message about a payment or approval."""
    return _about_approval(said) if isinstance(said, ApprovalRequest) else _about_payment(said)


def _about_payment(payment: PaymentRequest) -> Message:
    title = _TITLES[payment.event].format(price=_line(payment.price))
    text = _TEXTS[payment.event].format(task=_line(payment.task_id), dag=_line(payment.dag_id))
    pay_url = payment.url if payment.event in _PAYABLE else ""
    return Message(
        subject=_cut(f"{title} ({_line(payment.dag_id)})"),
        title=title,
        paragraphs=(text, *_lines(payment.note)),
        facts=tuple((name, value) for name, value in _facts(payment) if value),
        button=_link(f"Pay {_line(payment.price)}", pay_url),
        task=_link("Open the task in Airflow", payment.run_url),
    )


def _about_approval(request: ApprovalRequest) -> Message:
    dag, run, task, map_index = request.asked_by
    dag, run, task = _line(dag), _line(run), _line(task if map_index is None else f"{task}[{map_index}]")
    is_open = request.event is ApprovalEvent.REQUESTED
    title = f"{'Please approve' if is_open else 'Not bought:'} {_line(request.price)} for VideoDB credits"
    if is_open:
        text = f"The task {task} of the DAG {dag} asks before it buys. Nothing has been bought yet."
        who = f"Only these users may respond: {', '.join(request.approvers)}." if request.approvers else ""
        why = f"{request.reason}\n{request.month}\nYou are asked because {request.rule}.\n{who}"
        task_link = _list_with(request)
        if task_link is not None:
            why += f"\nOn a phone, open '{task_link.label}' below, and tap the symbol beside the request."
    else:
        text, why = f"The task {task} of the DAG {dag} has failed without this purchase.", ""
        task_link = _link("Open the task in Airflow", request.url)
    facts = (
        ("Amount", _line(request.price)),
        ("Respond by", _moment(request.respond_by) if is_open else ""),
        ("DAG", dag),
        ("Run", run),
        ("Task", task),
    )
    return Message(
        subject=_cut(f"{title} ({dag})"),
        title=title,
        paragraphs=(text, *_lines(why), *_lines(request.note)),
        facts=tuple((name, value) for name, value in facts if value),
        button=_link("Approve or refuse", request.url if is_open else ""),
        task=task_link,
    )


def _list_with(request: ApprovalRequest) -> Link | None:
    """Return the list with this request; ``None`` if Airflow's list does not open requests."""
    base, separator, _ = request.url.rpartition("/dags/")
    if not LISTED_REQUESTS_FIT_A_PHONE or not separator:
        return None
    # Airflow filters by the display name of a DAG, which is not its id.
    only = {"subject_search": request.subject, "task_id_pattern": request.asked_by[2]}
    query = urlencode({"response_received": "false"} | only)
    return _link("The request in a list", f"{base}/required_actions?{query}")


def _facts(payment: PaymentRequest) -> tuple[tuple[str, str], ...]:
    is_payable = payment.event in _PAYABLE
    return (
        ("Amount", _line(payment.price)),
        ("Credits needed", _credits(payment.credits_needed)),
        ("Credits available", _credits(payment.credits_available)),
        ("Credits missing", _credits(payment.credits_missing)),
        ("Link expires", _moment(payment.expires_at) if is_payable and payment.expires_at else ""),
        ("DAG", _line(payment.dag_id)),
        ("Run", _line(payment.run_id)),
        ("Task", _line(payment.task_id)),
        ("Checkout", _line(payment.checkout_id or "")),
    )


def _lines(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(filter(None, map(_line, text.splitlines())))


def _line(text: str) -> str:
    """
    Return the text as one harmless line.

    It has no control characters, and no marks that begin a template.
    """
    printable = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"\{(?=[{%#])", "{ ", " ".join(printable.split()))


def _cut(subject: str) -> str:
    return subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 1]}…"


def _credits(credits: float | None) -> str:
    return "" if credits is None else f"{credits:,.10g}"


def _moment(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _link(label: str, url: str) -> Link | None:
    if not is_web_address(url):
        return None
    return Link(label=label, url=_UNSAFE_IN_LINK.sub(lambda found: quote(found[0], safe=""), url))
