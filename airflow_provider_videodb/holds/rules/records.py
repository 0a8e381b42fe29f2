"""
The flags of an account.

A flag says that a task waits for credits, holds them or has released them. It is one record of the store, and its key
has every figure that a decision needs. So one listing of the keys is one atomic view of the account. The value names
the task, for people and for the collector.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.parsing import to_decimal
from airflow_provider_videodb.exceptions import VideoDBConfigError

if TYPE_CHECKING:
    from decimal import Decimal

#: All flags of all accounts begin with this.
PREFIX = "videodb/holds/"
#: The holder of a flag that belongs to the whole account, such as a pause.
NOBODY = "-"
#: Airflow stores keys of this many characters at most.
MAX_KEY = 250
#: The longest settlement time that a connection may have, in milliseconds. VideoDB bills a sandbox when it stops, up to
#: a day later.
LONGEST_SETTLEMENT_MS = 2 * 24 * 3600 * 1000
#: An account of dots only would change the path of the URL that a key becomes.
_PLAIN_ACCOUNT = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.-]{1,60}")
_CREDITS = re.compile(r"[0-9]+(\.[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]+")
#: The last millisecond of the year 9999. No date can be written for a later one.
_LAST_MS = 253_402_300_799_999
_TRY_LENGTH = 12


class Kind(StrEnum):
    """What a flag says."""

    #: A gate waits. ``ms`` is when the wait began.
    WAITING = "w"
    #: A gate holds credits. ``ms`` is since when.
    HELD = "h"
    #: Credits were released, and the balance may not show their spending yet. ``ms`` is until when they count.
    RELEASED = "r"
    #: No gate may open. ``ms`` is until when; 0 means until a person resumes the account.
    PAUSED = "p"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """
    One record.

    :param account: the account's part of the key, see :func:`account_part`.
    :param holder: the task instance, see :func:`holder_of`.
    :param try_id: the try of the task instance, see :func:`try_of`.
    :param credits: zero or more.
    :param ms: milliseconds since 1970, see :class:`Kind`.
    :param priority: of a waiting holder; a higher one goes first.
    """

    account: str
    holder: str
    try_id: str
    kind: Kind
    credits: Decimal
    ms: int
    priority: int = 0

    @property
    def key(self) -> str:
        """The key of the record."""
        parts = [self.account, self.holder, self.try_id, self.kind, format(self.credits, "f"), str(self.ms)]
        if self.priority:
            parts.append(str(self.priority))
        return PREFIX + "/".join(parts)

    @property
    def owner(self) -> tuple[str, str]:
        """Holder and try."""
        return self.holder, self.try_id

    def is_of(self, holders: str) -> bool:
        """
        Tell whether the flag belongs to a holder or task.

        :param holders: see :func:`holder_of` and :func:`task_part`.
        """
        # Without the dot, map index 1 would also stand for 10.
        return self.holder == holders or (holders.endswith(".") and self.holder.startswith(holders))


def parse_key(key: str) -> Flag | None:
    """
    Read a key.

    Each flag has one spelling. A key with another spelling could not be removed, so it does not count as a flag.

    :return: ``None`` if the key is not a flag of this version.
    """
    parts = key.removeprefix(PREFIX).split("/")
    if len(key) > MAX_KEY or not key.startswith(PREFIX) or len(parts) not in (6, 7) or not all(parts):
        return None
    account, holder, try_id, kind, credits, ms, *rest = parts
    if not _CREDITS.fullmatch(credits) or not all(_WHOLE.fullmatch(figure) for figure in (ms, *rest)):
        return None
    try:
        flag = Flag(
            account=account,
            holder=holder,
            try_id=try_id,
            kind=Kind(kind),
            credits=to_decimal(credits),
            ms=int(ms),
            priority=int(rest[0]) if rest else 0,
        )
    except ValueError:
        return None
    return flag if flag.key == key and 0 <= flag.ms <= _LAST_MS else None


def account_part(name: str) -> str:
    """Return an account's part of the key, unique per name."""
    if _PLAIN_ACCOUNT.fullmatch(name):
        return name
    return "~" + _digest(name)


def account_prefix(account: str) -> str:
    """Return what the keys of an account begin with."""
    return f"{PREFIX}{account}/"


def task_part(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the prefix of all holders of one task."""
    return _digest(json.dumps([dag_id, run_id, task_id])) + "."


def holder_of(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """Return the holder: one task instance with all its tries."""
    return f"{task_part(dag_id, run_id, task_id)}{-1 if map_index is None else map_index}"


def try_of(ti_id: object) -> str:
    """
    Return a short name of a try.

    A retry and a clear give the task instance another id, so a try that Airflow has given up never writes the key of
    the next one.
    """
    return str(ti_id).replace("-", "")[-_TRY_LENGTH:]


def check_key(flag: Flag) -> Flag:
    """
    Return the flag if its key can be stored.

    :raises VideoDBConfigError: if its figures are too long.
    """
    # Writing the digits of a figure with a huge exponent would fill the memory.
    is_written = flag.credits.adjusted() < MAX_KEY and flag.credits.as_tuple().exponent > -MAX_KEY  # type: ignore[operator]  # finite
    if not is_written or len(flag.key) > MAX_KEY:
        raise VideoDBConfigError(
            f"A hold of {str(flag.credits)[:40]}… credits cannot be recorded, because the figure is too long. Nothing "
            "was held. Next step: give a figure with fewer digits."
        )
    return flag


def _digest(text: str) -> str:
    # Without this, half of a surrogate pair could not be encoded.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
