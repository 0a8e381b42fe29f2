"""Decides which notifier fields carry a message. Pure."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError

if TYPE_CHECKING:
    from airflow_provider_videodb.notifications._message import Message

#: The fields of a body, the most telling combination first, and the field of its title.
_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("html_content",), "subject"),
    (("text", "blocks"), "title"),
    (("body",), "title"),
    (("text",), "title"),
    (("message",), "subject"),
)


def body_fields(notifier: object) -> tuple[tuple[str, ...], str | None]:
    """
    Return the fields of the body and title.

    :return: the title's field is ``None`` if there is none.

    :raises VideoDBConfigError: if the notifier has none of them, or if one of the body is set already.
    """
    name = type(notifier).__name__
    fitting = (shape for shape in _SHAPES if all(_has(notifier, field) for field in shape[0]))
    body, title = next(fitting, ((), ""))
    if not body:
        raise VideoDBConfigError(
            f"PaymentRequestNotifier cannot write the message of {name}, because {name} has none of the fields "
            "html_content, text, body and message. Nothing was sent. Next step: pass the notifier without "
            "PaymentRequestNotifier, with a text of your own that contains {{ task.payment_url }}."
        )
    if is_set := [field for field in body if not is_unset(notifier, field)]:
        raise VideoDBConfigError(
            f"PaymentRequestNotifier writes the message, but {is_set[0]} of {name} is set already. Nothing was sent. "
            f"Next step: leave {is_set[0]} out, or pass an empty text if {name} requires it. To keep your own text, "
            "pass the notifier without PaymentRequestNotifier."
        )
    return body, title if _has(notifier, title) else None


def filled_fields(notifier: object, message: Message) -> dict[str, Any]:
    """Return the message as values of notifier fields."""
    # Loaded here, because a DAG file that is parsed sends nothing.
    from airflow_provider_videodb.notifications import _formats as formats

    body, title = body_fields(notifier)
    fields: dict[str, Any] = {} if title is None or not is_unset(notifier, title) else {title: message.subject}
    if body == ("html_content",):
        return fields | {"html_content": formats.as_html(message)}
    if body == ("text", "blocks"):
        blocks = formats.as_slack_blocks(message)
        return fields | {"text": formats.as_slack_text(message)} | ({} if blocks is None else {"blocks": blocks})
    body_format = getattr(notifier, "body_format", None)
    match getattr(body_format, "value", body_format):
        case "html":
            text = formats.as_html(message)
        case "markdown":
            text = formats.as_markdown(message)
        case _:
            text = formats.as_plain(message, with_title=title is None)
    return fields | {body[0]: text}


def is_unset(notifier: object, field: str) -> bool:
    """Say whether a field is empty or a default."""
    value = getattr(notifier, field)
    default = inspect.signature(type(notifier).__init__).parameters.get(field)
    is_empty = value is None or (isinstance(value, str | list | tuple | dict) and not value)
    return is_empty or (default is not None and value == default.default)


def _has(notifier: object, field: str) -> bool:
    return hasattr(notifier, field) and not callable(getattr(notifier, field))
