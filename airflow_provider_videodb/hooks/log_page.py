"""
Show an error on Airflow's log page.

The page does not wrap lines. In a window of 1280 pixels it shows 85 characters of a log line, and fewer of the text of
an exception. So an error is logged in short lines before it is raised.
"""

from __future__ import annotations

import re
from textwrap import TextWrapper
from typing import TYPE_CHECKING

from airflow_provider_videodb.version_compat import TaskDeferralError, TaskDeferralTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.types import Logger

#: A link after a colon, a command in backquotes, or a line that is a command. They are the odd pieces of a split.
_WHOLE = re.compile(r"((?<=: )https?://\S*[^\s.,;:)]|`[^`]+ [^`]+`|^airflow .+)")
#: Between a number and its unit no line ends.
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:s|credits?|checkouts?|[A-Z]{3})\b)")
_LINES = TextWrapper(width=75, break_long_words=False, break_on_hyphens=False)


def log_error(log: Logger, error: Exception, *, conn_id: object) -> None:
    """
    Log the text of an error, line by line.

    :param conn_id: the task's connection; ``None`` leaves it out.
    """
    text = str(error)
    if any(isinstance(err, TaskDeferralError | TaskDeferralTimeout) for err in (error, error.__cause__)):
        text = (
            f"The triggerer did not complete the wait ({error}). Next step: check that a triggerer runs and has this "
            "package installed, then clear this task."
        )
    log_lines(log.error, text)
    if conn_id is not None:
        log.error("Connection: %s", conn_id)


def log_lines(say: Callable[[str, str], object], text: str) -> None:
    """
    Log a text line by line.

    :param say: the method of a logger, such as ``log.info``.
    """
    for line in lines_of(text):
        say("%s", line)


def lines_of(text: str) -> list[str]:
    """
    Break an error text into lines of at most 75 characters.

    ``Next step:`` begins a line. A link or a command gets its own line, even a longer one, because a broken one can
    be neither clicked nor copied. Pure.
    """
    lines: list[str] = []
    for paragraph in text.replace("Next step: ", "\nNext step: ").splitlines():
        for place, piece in enumerate(_WHOLE.split(paragraph)):
            lines += [piece.strip("`")] if place % 2 else _LINES.wrap(_BEFORE_UNIT.sub("\xa0", piece.lstrip(".,;: ")))
    return [line.replace("\xa0", " ") for line in lines]
