"""
What an error of VideoDB's SDK says. Pure.

The SDK need not be installed, so its errors are known by their names.
"""

from __future__ import annotations

import re
from typing import Any

#: Where VideoDB may begin to repeat a prompt or another text of the job. An apostrophe inside a word is not a quote.
_REPEATED = re.compile(r"""["`\u201c\u2018«\n]|(?<!\w)'|\bprompts?\b""", re.IGNORECASE)
#: The words of VideoDB for a job that was accepted and later failed. The SDK then reports HTTP status 200.
_SHORTAGE = re.compile(
    r"\b(insufficient|not enough|not have enough|\w+n't have enough|out of) (\w+ )?credits?\b", re.IGNORECASE
)


def is_sdk_error(err: BaseException) -> bool:
    """Tell whether VideoDB's SDK raised an error."""
    return any(cls.__name__ == "VideodbError" and cls.__module__ == "videodb.exceptions" for cls in type(err).__mro__)


def status_of(err: BaseException) -> int | None:
    """
    Return the HTTP status of the response.

    :return: ``None`` if the SDK has no response.
    """
    status = getattr(getattr(err, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def method_of(err: BaseException) -> str | None:
    """
    Return the method of the request.

    :return: ``None`` if the SDK has no response to it.
    """
    method = getattr(getattr(getattr(err, "response", None), "request", None), "method", None)
    return method if isinstance(method, str) else None


def header_of(err: BaseException, name: str) -> str | None:
    """Return a header of the response."""
    headers: Any = getattr(getattr(err, "response", None), "headers", None) or {}
    value = headers.get(name)
    return value if isinstance(value, str) else None


def body_of(err: BaseException) -> Any:
    """Return the JSON of the response, or ``None``."""
    try:
        return getattr(err, "response").json()  # noqa: B009 - the base class of the SDK's errors has no response
    except Exception:  # noqa: BLE001 - a server may send anything
        return None


def is_shortage(err: BaseException) -> bool:
    """
    Say whether an SDK error reports missing credits.

    A prompt may also mention credits. So a text counts only up to its first quotation mark, line break or the word
    "prompt".
    """
    own_words = _REPEATED.split(str(err), maxsplit=1)[0]
    return status_of(err) == 402 or _SHORTAGE.search(own_words) is not None
