"""Purchases that several tests use, in each state that they need."""

from __future__ import annotations

from dataclasses import replace
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


#: A purchase with a value in each field.
PURCHASE = Purchase(
    generation=1,
    amount=50,
    currency=None,
    key="0123456789abcdef-and-more",
    balance_before=3.5,
    posts=("2026-01-01T00:00:00+00:00",),
    in_flight=35.0,
    excluded_ids=("cs_1",),
    orphans=("cs_2", "cs_3"),
    ended={"cs_0": 20},
    checkout_id="cs_4",
    id_source="url",
    payment_url="https://pay.example/cs_4",
    link_shared=True,
    notified=("0:SlackNotifier",),
    paid=("cs_4",),
    paid_at="2026-01-01T01:00:00+00:00",
)
PENDING = replace(PURCHASE, paid=(), paid_at=None)
