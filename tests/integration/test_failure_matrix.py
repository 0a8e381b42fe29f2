"""
A task instance pays for at most one purchase, and one payable link is out at a time.

Each row tells where the try dies, what VideoDB does and how the task comes back. `play` runs that story with
`dag.test()` against the emulator. The rows are the complete claim.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, get_args

import pytest

from airflow_provider_videodb.emulator.faults.call_faults import FaultKind
from tests.support.purchases import BEFORE_THE_WAIT, RECORD_STORES, Died, Point, journal_of
from tests.support.stories import Forgets, Row, Server, end_of, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.purchases import Person

HONOURS_KEY: Server = {"idempotency": "honour"}
CHARGES: Server = {"charge_stored_card": True}
CHARGES_AND_HONOURS: Server = CHARGES | HONOURS_KEY
LISTS_LATE: Server = {"list_lag": 0.12}

STEPS = {
    "before the intent": Point("purchases.journal.Journal", "save"),
    "before the POST": Point("api.client.BillingClient", "topup"),
    "after the response": Point("api.client.BillingClient", "topup", after=True),
    "before the claim": Point("purchases.claims.VariableClaims", "claim"),
    "after the claim": Point("purchases.claims.VariableClaims", "claim", after=True),
    "before the link": Point("purchases.journal.Journal", "save", nth=3, after=True),
    "after the link": Point("operators._purchasing.PurchasingOperator", "push_link", nth=2, after=True),
    "after the notifier": Point("purchases.journal.Journal", "save", nth=4),
    "before the wait": BEFORE_THE_WAIT,
    "while a worker waits": Point("triggers.checkout.CheckoutTrigger", "on_checkouts"),
    "on resume": Point("operators.topup.TopupOperator", "execute_complete"),
    "before it is marked paid": Point("purchases.journal.Journal", "save", nth=5),
    "before the result": Point("operators._topup_run.TopupRun", "_finish"),
    "after the result": Point("operators._topup_run.TopupRun", "_finish", after=True),
}
WRITES = {
    "the intent": Point("purchases.journal.Journal", "save"),
    "the response": Point("purchases.journal.Journal", "save", nth=2),
    "that the link goes out": Point("purchases.journal.Journal", "save", nth=3),
    "that the notifiers were called": Point("purchases.journal.Journal", "save", nth=4),
    "that it is paid": Point("purchases.journal.Journal", "save", nth=5),
    "the claim": Point("purchases.claims.VariableClaims", "claim"),
}

ONE_TRY = {"tries": 1}
#: The first response is lost together with the link. Nobody can pay that checkout, so the task makes a second one.
ORPHAN = {"posts": 2}
#: VideoDB charges a stored card at once. Nobody needs the link, even if the response with it is lost.
CHARGED = {"server": CHARGES, "links": 0}
#: A gateway responds with its own page, such as "Just a moment…".
GATEWAY = {"kind": "html", "status": 403}
LIES: list[dict[str, Any]] = [{"status": "expired"}, {"status": "processing"}, {"status": "weird"}, {"hidden": True}]
FOREIGN: list[dict[str, Any]] = [
    {"id": "cs_sub", "amount": None, "currency": "usd", "status": "completed", "created_at": "2026-01-01T00:00:00Z"},
    {"id": "cs_old", "amount": "fifty", "currency": None, "status": "pending", "created_at": "2026-01-01T00:00:00Z"},
    {"id": 7, "amount": -50, "currency": "eur", "status": None, "created_at": "2026-01-01T00:00:00Z"},
]

ROWS = [
    # The try dies. VideoDB keeps the checkout that it made.
    Row(dies="before the intent"),
    Row(dies="before the intent", back="clear"),
    Row(dies="before the intent", back="retry with another amount", amount=100),
    Row(dies="before the POST"),
    Row(dies="before the POST", back="clear"),
    Row(dies="before the POST", **CHARGED),
    Row(dies="before the POST", back="retry with another amount"),
    Row(dies="after the response", **ORPHAN),
    Row(dies="after the response", **ORPHAN, back="clear"),
    Row(dies="after the response", **ORPHAN, back="retry with another amount"),
    Row(dies="after the response", **ORPHAN, server=LISTS_LATE),
    Row(dies="after the response", **ORPHAN, made=1, server=HONOURS_KEY),
    Row(dies="after the response", **CHARGED),
    Row(dies="after the response", **CHARGED, back="clear"),
    Row(dies="after the response", **CHARGED, back="retry with another amount"),
    Row(dies="after the response", links=0, server=CHARGES_AND_HONOURS),
    Row(dies="after the response", links=0, server=CHARGES | LISTS_LATE),
    Row(dies="before the claim"),
    Row(dies="before the claim", back="clear"),
    Row(dies="before the claim", **CHARGED),
    Row(dies="after the claim"),
    Row(dies="after the claim", **CHARGED),
    Row(dies="before the link"),
    Row(dies="before the link", server=LISTS_LATE),
    Row(dies="after the link"),
    Row(dies="after the link", back="clear"),
    Row(dies="after the link", back="retry with another amount"),
    Row(dies="after the link", pays="at once"),
    Row(dies="after the link", pays="at once", back="clear"),
    Row(dies="after the link", pays="too late", posts=2, links=2),
    Row(dies="after the link", pays="too late", posts=2, links=2, back="retry with another amount", amount=100),
    Row(dies="after the notifier"),
    Row(dies="before the wait"),
    Row(dies="before the wait", back="clear"),
    Row(dies="while a worker waits", deferrable=False),
    Row(dies="while a worker waits", deferrable=False, back="clear"),
    Row(dies="while a worker waits", deferrable=False, pays="at once"),
    Row(dies="on resume"),
    Row(dies="on resume", back="clear"),
    Row(dies="on resume", back="retry with another amount"),
    Row(dies="before it is marked paid"),
    Row(dies="before the result"),
    Row(dies="before the result", back="clear"),
    Row(dies="before the result", **CHARGED),
    Row(dies="after the result", back="retry with another amount"),
    Row(back="clear"),
    Row(back="clear", **CHARGED),
    Row(back="clear", deferrable=False),
    # Airflow fails to store a write.
    Row(write="the intent"),
    Row(write="the response", **ORPHAN),
    Row(write="the response", **CHARGED),
    Row(write="that the link goes out"),
    Row(write="that the notifiers were called"),
    Row(write="that it is paid"),
    Row(write="the claim"),
    # The response of the POST is lost, and the try goes on.
    Row(post={"kind": "refuse"}, **ONE_TRY),
    Row(post={"kind": "drop_before"}, **ONE_TRY),
    Row(post={"kind": "drop_before"}, **CHARGED, **ONE_TRY),
    Row(post={"kind": "drop_after"}, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "drop_after"}, **ORPHAN, **ONE_TRY, made=1, server=HONOURS_KEY),
    Row(post={"kind": "drop_after"}, **ORPHAN, **ONE_TRY, server=LISTS_LATE),
    Row(post={"kind": "drop_after"}, **ORPHAN, **ONE_TRY, deferrable=False),
    Row(post={"kind": "drop_after"}, **CHARGED, **ONE_TRY),
    Row(post={"kind": "drop_after"}, **ONE_TRY, links=0, server=CHARGES | LISTS_LATE),
    Row(post={"kind": "hang", "seconds": 3}, timeout=0.8, **ONE_TRY),
    Row(post={"kind": "hang", "seconds": 3, "work": True}, timeout=0.8, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "hang", "seconds": 3, "work": True}, timeout=0.8, **CHARGED, **ONE_TRY),
    Row(post={"kind": "status", "status": 500}, **ONE_TRY),
    Row(post={"kind": "status", "status": 500, "work": True}, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "status", "status": 502, "work": True}, **CHARGED, **ONE_TRY),
    Row(post={"kind": "html"}, **ONE_TRY),
    Row(post={"kind": "html", "work": True}, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "html", "work": True}, **CHARGED, **ONE_TRY),
    Row(post={"kind": "truncated"}, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "truncated"}, **CHARGED, **ONE_TRY),
    Row(post={"kind": "redirect", "location": "/elsewhere"}, **ONE_TRY),
    Row(post={"kind": "redirect", "location": "/elsewhere", "work": True}, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "slow_body", "seconds": 0.1}, **ONE_TRY),
    Row(post={"kind": "slow_body", "seconds": 3}, timeout=0.8, **ORPHAN, **ONE_TRY),
    Row(post={"kind": "slow_body", "seconds": 3}, timeout=0.8, **CHARGED, **ONE_TRY),
    # The response is lost twice. One try sends the POST no more than twice.
    Row(post={"kind": "drop_before", "times": 2}),
    Row(post={"kind": "drop_after", "times": 2}, posts=3),
    Row(post={"kind": "drop_after", "times": 2}, posts=3, made=1, server=HONOURS_KEY),
    Row(post={"kind": "drop_after", "times": 2}, posts=3, back="clear"),
    Row(post={"kind": "drop_after", "times": 2}, posts=3, back="retry with another amount"),
    Row(post={"kind": "drop_after"}, dies="after the link", **ORPHAN),
    Row(post={"kind": "drop_after"}, dies="before the wait", **ORPHAN, back="clear"),
    # VideoDB refuses and makes nothing.
    Row(post={"kind": "status", "status": 429, "retry_after": "1"}),
    Row(post={"kind": "status", "status": 429}, back="retry with another amount", amount=100),
    Row(post={"kind": "status", "status": 400}),
    Row(post={"kind": "status", "status": 400}, back="retry with another amount", amount=100),
    Row(post={"kind": "status", "status": 402}),
    Row(post={"kind": "status", "status": 401}, posts=0, links=0, paid=0, state="failed", tries=1),
    Row(post={"kind": "status", "status": 403}, posts=0, links=0, paid=0, state="failed", tries=1),
    Row(post={"kind": "status", "status": 401}, back="clear"),
    # The list cannot be read.
    Row(list_fault={"kind": "status"}),
    Row(list_fault={"kind": "status", "skip": 2}),
    Row(list_fault={"kind": "html", "skip": 2}, back="clear"),
    Row(list_fault={"kind": "status", "skip": 2}, post={"kind": "drop_after"}, **ORPHAN),
    Row(list_fault={"kind": "refuse", "skip": 2}, post={"kind": "drop_after"}, **CHARGED),
    Row(list_fault={"kind": "drop_before", "skip": 2}, post={"kind": "drop_after"}, back="clear", **ORPHAN),
    Row(list_fault={"kind": "truncated", "skip": 4}, **ONE_TRY),
    Row(list_fault={"kind": "status", "skip": 4, "times": 5}),
    # A gateway between Airflow and VideoDB responds.
    Row(post=GATEWAY, **ONE_TRY),
    Row(post=GATEWAY | {"status": 401}, **ONE_TRY),
    Row(post=GATEWAY | {"work": True}, **ORPHAN, **ONE_TRY),
    Row(post=GATEWAY | {"work": True}, **CHARGED, **ONE_TRY),
    Row(post=GATEWAY | {"work": True}, back="clear", **ORPHAN),
    Row(list_fault=GATEWAY),
    Row(list_fault=GATEWAY | {"skip": 2}),
    Row(list_fault=GATEWAY | {"skip": 4, "times": 3}, **ONE_TRY),
    # The list shows a payable checkout in a false state, for a while.
    *(Row(lie=says | {"times": 1}, **ONE_TRY) for says in LIES),
    *(Row(lie=says | {"times": 1}, dies="after the link") for says in LIES),
    *(Row(lie=says | {"times": 1}, dies="after the link", back="clear") for says in LIES),
    *(Row(lie=says | {"times": 2}, deferrable=False, **ONE_TRY) for says in LIES[1:]),
    # Two polls in a row see it expired, which ends the second try. The third try sees the truth.
    Row(lie={"status": "expired", "times": 2}, dies="after the link", tries=3),
    # The list keeps showing it as expired, although it is too young to be.
    Row(lie={"status": "expired"}, dies="after the link", pays="never", paid=0, state="failed", tries=3),
    Row(lie={"status": "expired"}, pays="never", paid=0, state="failed", tries=3),
    # The list hides a paid checkout or shows it in another state, and the task is cleared.
    *(Row(forgets=how, back="clear") for how in get_args(Forgets)),
    Row(forgets="hides it", back="clear", **CHARGED),
    Row(forgets="hides it", back="clear", deferrable=False),
    # Another program has made an entry that cannot be parsed.
    *(Row(foreign=entry, **ONE_TRY) for entry in FOREIGN),
    *(Row(foreign=entry, post={"kind": "drop_after"}, **ORPHAN, **ONE_TRY) for entry in FOREIGN),
    *(Row(foreign=entry, dies="after the link") for entry in FOREIGN),
]
#: The rest of a row depends on the record after a death, a failed write or a clear, so each store plays these.
RECORD_ROWS = [row for row in ROWS if row.dies or row.write or row.back == "clear"]


@pytest.mark.parametrize(
    ("row", "record"),
    [*((row, RECORD_STORES[0]) for row in ROWS), *product(RECORD_ROWS, RECORD_STORES[1:])],
    indirect=["record"],
    ids=str,
)
def test_task_pays_for_one_purchase(
    row: Row, record: str, person: Person, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[bool] | None = None
    if row.dies:
        broken = STEPS[row.dies].breaks(Died(row.dies), monkeypatch)
    if row.write:
        broken = WRITES[row.write].breaks(ConnectionError("Airflow's API server is gone"), monkeypatch)
    bought = play(row, person, connect)

    assert broken is None or broken == [True]
    assert end_of(bought, person) == row.end
    # The receipt stays, whichever store holds the record.
    kept = journal_of(bought)
    assert (len(kept["paid"]), bool(kept["paid"] and kept["posts"])) == (row.paid, False)


def test_each_fault_step_and_write_has_a_row() -> None:
    assert {fault["kind"] for row in ROWS if (fault := row.post)} == set(get_args(FaultKind))
    assert {row.dies for row in ROWS} - {None} == set(STEPS)
    assert {row.write for row in ROWS} - {None} == set(WRITES)
