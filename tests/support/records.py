"""The one place of the triggers' tests that knows the fields of a purchase."""

from __future__ import annotations

from typing import Any

from airflow_provider_videodb.purchases.rules.purchase import Purchase


def purchase_of(checkout_id: str, *, amount: int = 50) -> dict[str, Any]:
    """Return the JSON form of a purchase whose checkout waits to be paid."""
    return Purchase(
        generation=0,
        amount=amount,
        currency="usd",
        key="a-key",
        balance_before=3,
        posts=("2026-01-01T00:00:00+00:00",),
        checkout_id=checkout_id,
        id_source="response",
        payment_url=f"http://127.0.0.1:9/pay/{checkout_id}",
    ).to_dict()
