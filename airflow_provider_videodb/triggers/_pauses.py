"""What VideoDB asked to be left in peace for, as it travels from one process to the next. Pure."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

_SALT_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Pause:
    """
    How long VideoDB asked one account to wait.

    :param until: when VideoDB may be asked again, in seconds since 1970.
    :param asked: for how many seconds it asked. No clock that was set makes a pause longer than that.
    :param account: which account it asked, see :func:`mark_of`; it does not silence another.
    """

    until: float
    asked: float
    account: str

    @classmethod
    def from_dict(cls, stored: object) -> Pause:
        """
        Read the JSON form.

        :raises TypeError: if it is not one.
        :raises ValueError: if a figure of it is not a number.
        """
        fields: dict[str, Any] = dict(stored)  # type: ignore[call-overload]  # what is no mapping raises
        return cls(until=float(fields["until"]), asked=float(fields["asked"]), account=str(fields["account"]))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    def left(self, now: float) -> float:
        """Return how many seconds of it are left; a clock that was set back does not prolong it."""
        return max(0.0, min(self.until - now, self.asked))


def mark_of(settings: ConnectionSettings, *, like: str = "") -> str:
    """
    Return a mark that tells two accounts apart without saying anything of either.

    It is salted: two marks of one account differ, unless the second is made like the first.
    """
    salt = like[:_SALT_DIGITS] or secrets.token_hex(_SALT_DIGITS // 2)
    account = f"{salt}\n{settings.base_url}\n{settings.api_key}".encode(errors="replace")
    return salt + hashlib.blake2b(account, digest_size=8).hexdigest()
