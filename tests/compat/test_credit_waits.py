"""
The state of a wait that a released version stored, read by this one.

Each file of ``waits`` travels in the arguments of an ``EnsureCreditsTrigger`` and in its event. A file is never
changed, because tasks wait while somebody upgrades or downgrades.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.purchases.rules.credit_wait import (
    CreditWait,
    Gate,
    NotFilled,
    NotPaid,
    NotShown,
    WaitUntil,
    decide_credit_wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable

WAITS = Path(__file__).parent / "waits"
DEADLINE = datetime(2026, 1, 16, 12, tzinfo=UTC).timestamp()
PAID_AT = datetime(2026, 1, 15, 12, 5, tzinfo=UTC).timestamp()
#: How long each stored wait goes on if the balance stays short, and how it fails then.
ENDS = {
    "pending": (DEADLINE, NotPaid),
    "paid": (PAID_AT + 1800, NotShown),
    "paid_kept_by_others": (PAID_AT + 1800, NotShown),
    "without_purchase": (DEADLINE, NotFilled),
    "without_purchase_may_buy": (DEADLINE, NotFilled),
}


def as_written(state: dict[str, Any]) -> dict[str, Any]:
    return state


def as_format_2_writes(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state as the next format may store it: with fields that this version does not know."""
    return state | {"format": 2, "hold": {"id": 7}, "asked_for": None}


def as_format_0_wrote(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state as it was before it had a format."""
    return {name: value for name, value in state.items() if name != "format"}


def golden(name: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((WAITS / f"{name}.json").read_text())
    return state


def test_every_golden_file_is_read() -> None:
    assert {path.stem for path in WAITS.glob("*.json")} == ENDS.keys()


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("stored", [as_format_0_wrote, as_written, as_format_2_writes])
def test_stored_wait_ends_as_it_would_have(stored: Callable[[Any], Any], name: str) -> None:
    ends_at, failure = ENDS[name]
    wait = CreditWait.from_dict(stored(golden(name)))

    def decide(now: float) -> object:
        gate = Gate(is_open=False, missing=Decimal(50))
        return decide_credit_wait(wait, gate, may_buy=False, settle_timeout=1800, now=now)

    assert decide(ends_at - 1) == WaitUntil(deadline=ends_at)
    assert type(decide(ends_at)) is failure


@pytest.mark.parametrize("name", ENDS)
def test_this_version_stores_the_golden_state(name: str) -> None:
    state = golden(name)
    stored = CreditWait.from_dict(state).to_dict()
    assert json.loads(json.dumps(stored)) == state
