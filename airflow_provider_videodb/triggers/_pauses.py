"""How long VideoDB asked an account to wait. Pure."""

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
    The wait that VideoDB asked of one account.

    It travels from the worker to the trigger, and from one poke to the next.

    :param until: end of the wait, in seconds since 1970.
    :param asked: length of the wait in seconds. A clock that is set back does not make it longer.
    :param account: mark of the account, see :func:`mark_of`. Other accounts do not wait.
    """

    until: float
    asked: float
    account: str

    @classmethod
    def from_dict(cls, stored: object) -> Pause:
        """
        Read the JSON form.

        :raises TypeError: if ``stored`` is not a mapping.
        :raises KeyError: if a field is missing.
        :raises ValueError: if a time is not a number.
        """
        fields: dict[str, Any] = dict(stored)  # type: ignore[call-overload]  # raises TypeError where it must
        return cls(until=float(fields["until"]), asked=float(fields["asked"]), account=str(fields["account"]))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    def left(self, now: float) -> float:
        """Return how many seconds are left, at most those that were asked for."""
        return max(0.0, min(self.until - now, self.asked))


def mark_of(settings: ConnectionSettings, *, like: str = "") -> str:
    """
    Return a mark that tells two accounts apart without revealing either.

    The mark is salted, so two marks of one account differ.

    :param like: an earlier mark, whose salt is used. The marks are then equal if the accounts are.
    """
    salt = like[:_SALT_DIGITS] or secrets.token_hex(_SALT_DIGITS // 2)
    account = f"{salt}\n{settings.base_url}\n{settings.api_key}".encode(errors="replace")
    return salt + hashlib.blake2b(account, digest_size=8).hexdigest()
