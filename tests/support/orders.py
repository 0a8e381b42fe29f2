"""What a purchase leaves behind: the requests at the emulator, and the links that notifiers announce."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.purchases import TOPUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator


class Notifier:
    """Keeps each link it is called for. It stands in for the notifiers of Slack or mail."""

    def __init__(self, error: Callable[[], BaseException | None] = lambda: None) -> None:
        self.told: list[str] = []
        self._error = error

    def __call__(self, context: Any) -> None:
        self.told.append(context["task"].payment_url)
        if error := self._error():
            raise error

    def __deepcopy__(self, memo: object) -> Notifier:
        return self


def posted(emulator: Emulator) -> list[dict[str, Any]]:
    """Return the purchases that VideoDB has accepted."""
    return [json.loads(call.body) for call in emulator.calls("POST", TOPUP, accepted=True)]
