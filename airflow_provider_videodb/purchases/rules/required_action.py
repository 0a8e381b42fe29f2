"""
Writes payment requests, and reads the responses. Pure.

Airflow keeps one request per task instance, for all its tries, and never changes its text. So the text says when its
link expires, and where a newer link is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME
from airflow_provider_videodb.exceptions import VideoDBPaymentRefusedError, VideoDBPurchaseError
from airflow_provider_videodb.purchases.rules.candidates import describe_moment

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: The option that ends a task that waits for a payment.
CANCEL = "Cancel"
#: The response that closes a request once nobody has to pay. A person cannot choose it.
OVER = "Nothing left to do"

#: What Markdown or HTML gives a meaning, wherever it stands in a line.
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:$@/])")
#: What would end a link's address in angle brackets.
_ENDS_ADDRESS = {"<": "%3C", ">": "%3E", "\\": "%5C", "\n": "%0A", "\r": "%0D"}
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class RequiredAction:
    """
    A request to a person.

    :param subject: plain text.
    :param body: Markdown.
    :param options: what a person can choose from.
    :param link: tells this text from that of an earlier try.
    """

    subject: str
    body: str
    options: tuple[str, ...]
    link: str = ""

    def is_shown_by(self, *, body: str | None, options: Sequence[str]) -> bool:
        """
        Say whether Airflow shows this request.

        Its credits may be those of an earlier try.
        """
        return self.link in (body or "") and tuple(options) == self.options


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """
    Why a task buys.

    :param needed: credits that the job needs, or below which the task buys.
    :param available: credits of the account that the task may count on.
    :param missing: credits.
    """

    needed: Decimal
    available: Decimal
    missing: Decimal


@dataclass(frozen=True, kw_only=True)
class Response:
    """
    What a person chose.

    :param chosen: the options.
    :param by: who chose, for texts.
    """

    chosen: tuple[str, ...]
    by: str


def payment_action(purchase: Purchase, *, shortage: Shortage | None, task_url: str) -> RequiredAction:
    """
    Return the payment request.

    :param shortage: ``None`` if the task does not say what it needs.
    :param task_url: the page of the task instance in Airflow.
    """
    link, expiry = _address(purchase.payment_url or ""), expires_at(purchase)
    paragraphs = [f"**[Pay {in_markdown(purchase.price)}]({link})**"]
    if shortage is not None:
        paragraphs.append(
            f"**{shortage.needed:,f}** credits are needed and **{shortage.available:,f}** are available, so "
            f"**{shortage.missing:,f}** are missing."
        )
    if expiry is not None:
        paragraphs.append(f"The link expires at **{describe_moment(expiry)}**.")
    paragraphs += [
        f"The task continues automatically after the payment. *{CANCEL}* refuses the payment and fails the task.",
        (
            "This text never changes. If a retry makes a newer link, it is in the log of "
            f"[the task]({_address(task_url)})."
        ),
    ]
    return RequiredAction(
        subject=f"Pay {purchase.price} for VideoDB credits",
        body="\n\n".join(paragraphs),
        options=(CANCEL,),
        link=link,
    )


def read_response(event: object) -> Response | None:
    """
    Return a person's response; ``None`` for another event.

    Events of our triggers have a status, and those of a person have options.

    :raises VideoDBPurchaseError: if the event is of that kind and cannot be read.
    """
    if not isinstance(event, Mapping) or "chosen_options" not in event:
        return None
    chosen = event["chosen_options"]
    is_read = isinstance(chosen, list | tuple) and chosen and all(isinstance(option, str) for option in chosen)
    if not is_read or "status" in event or "error" in event:
        raise not_understood(event)
    return Response(chosen=tuple(chosen), by=name_of(event.get("responded_by_user")) or "Somebody")


def not_understood(response: object) -> VideoDBPurchaseError:
    """Return the error for a response we never offered."""
    return VideoDBPurchaseError(
        f"Airflow returned {str(response)[:200]!r} as a person's response, which this task does not know. Nothing more "
        "was bought. Next step: install the same version of this package on workers and triggerers, then clear this "
        "task. It waits for the same checkout."
    )


def refused_error(purchase: Purchase | None, response: Response, *, is_checked: bool) -> VideoDBPaymentRefusedError:
    """
    Return the error for a refused payment.

    :param purchase: ``None`` if Airflow has no record of it.
    :param is_checked: whether VideoDB has just said that it is unpaid.
    """
    what, left_open = "the payment", ""
    if purchase is not None:
        what, left_open = f"the payment of {purchase.price}", _describe_open(purchase)
    if not is_checked:
        left_open += " VideoDB could not be asked whether it is paid."
    return VideoDBPaymentRefusedError(
        f"{response.by} refused {what}, so the task ended.{left_open} Nothing more was bought. Next step: to pay after "
        "all, clear this task. It waits for the same checkout, or makes a new one if that has expired."
    )


def _describe_open(purchase: Purchase) -> str:
    """Say until when people can pay, without the link."""
    if not purchase.link_shared:
        return " Nobody has a link to pay it."
    expiry = expires_at(purchase)
    until = "it expires" if expiry is None else describe_moment(expiry)
    return f" Its link may still be payable until {until}, because VideoDB cannot cancel it."


def expires_at(purchase: Purchase) -> datetime | None:
    """
    Return when the link expires, or ``None``.

    VideoDB documents the lifetime. ``None`` means that nobody knows when the checkout was made.
    """
    return datetime.fromisoformat(purchase.posts[-1]) + CHECKOUT_LIFETIME if purchase.posts else None


def name_of(user: object) -> str | None:
    """
    Return a person's name, with a differing id.

    :return: ``None`` if Airflow names nobody.
    """
    if not isinstance(user, Mapping):
        return None
    name, user_id = (" ".join(str(user.get(key) or "").split())[:_LONGEST_NAME] for key in ("name", "id"))
    if not user_id or user_id == name:
        return name or None
    return f"{name} (id {user_id})" if name else user_id


def in_markdown(text: str) -> str:
    """Return one line that Markdown shows unchanged."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _address(url: str) -> str:
    return f"<{''.join(_ENDS_ADDRESS.get(sign, sign) for sign in url)}>"
