"""
For one task instance at most one purchase is ever paid, and at any time at most one link that can be paid is out.

Each row is one story: where it dies, what the server did, how it comes back, and what must have come of it. The rows
are the whole of what is claimed; `test_one_purchase` tells them to a real `dag.test()` against the emulator.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import pytest

from airflow_provider_videodb.emulator.faults.faults import FaultKind
from tests.support.purchases import LIST, TOPUP, Died, Point, Shopping, id_of, in_turn, journal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.purchases import Bought, Person

Server = dict[str, Any]
Forgets = Literal["hides it", "calls it expired", "calls it pending"]

IGNORES_KEY: Server = {}
HONOURS_KEY: Server = {"idempotency": "honour"}
CHARGES: Server = {"charge_stored_card": True}
CHARGES_AND_HONOURS: Server = CHARGES | HONOURS_KEY
LISTS_LATE: Server = {"list_lag": 0.12}

STEPS = {
    "before the intent": Point("purchases.journal.Journal", "save"),
    "before the POST": Point("api.client.BillingClient", "topup"),
    "after the answer": Point("api.client.BillingClient", "topup", after=True),
    "before the claim": Point("purchases.claims.VariableClaims", "claim"),
    "after the claim": Point("purchases.claims.VariableClaims", "claim", after=True),
    "before the link": Point("purchases.journal.Journal", "save", nth=3, after=True),
    "after the link": Point("operators._purchasing.PurchasingOperator", "push_link", nth=2, after=True),
    "after the notifier": Point("purchases.journal.Journal", "save", nth=4),
    "before the wait": Point("operators._purchasing.PurchasingOperator", "wait"),
    "while a worker waits": Point("triggers.checkout.CheckoutTrigger", "on_checkouts"),
    "on resume": Point("operators.topup.TopupOperator", "execute_complete"),
    "before it is settled": Point("purchases.journal.Journal", "save", nth=5),
    "before the result": Point("operators._topup_run.TopupRun", "_finish"),
    "after the result": Point("operators._topup_run.TopupRun", "_finish", after=True),
}
WRITES = {
    "the intent": Point("purchases.journal.Journal", "save"),
    "the answer": Point("purchases.journal.Journal", "save", nth=2),
    "that the link goes out": Point("purchases.journal.Journal", "save", nth=3),
    "that the notifiers were called": Point("purchases.journal.Journal", "save", nth=4),
    "that it is paid": Point("purchases.journal.Journal", "save", nth=5),
    "the claim": Point("purchases.claims.VariableClaims", "claim"),
}


@dataclass(frozen=True, kw_only=True)
class End:
    """
    What came of a story.

    :param posts: POSTs that VideoDB carried out.
    :param made: checkouts that they made.
    :param keys: idempotency keys that they carried.
    :param links: links that people have seen.
    :param most_payable: links that could be paid at the same time.
    :param paid: what each paid checkout cost.
    """

    posts: int
    made: int
    keys: int
    links: int
    most_payable: int
    paid: list[int]
    state: str
    tries: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One story and its end.

    :param dies: the step at which the try dies.
    :param write: what Airflow fails to write down.
    :param post: the fault that the POST meets.
    :param look: the fault that a look at the list meets.
    :param server: what VideoDB is like.
    :param back: how the task comes back.
    :param lie: what the list says of the checkout once its link is out, instead of the truth.
    :param forgets: what the list does to a paid checkout before the task is cleared.
    :param foreign: an entry that somebody else's program has put into the list.
    :param pays: when the person pays the link: while the task waits, or as soon as it is there.
    :param made: checkouts that the POSTs made, if not one each.
    """

    dies: str | None = None
    write: str | None = None
    post: dict[str, Any] | None = None
    look: dict[str, Any] | None = None
    server: Server = field(default_factory=dict)
    lie: dict[str, Any] | None = None
    forgets: Forgets | None = None
    foreign: dict[str, Any] | None = None
    back: Literal["retry", "retry with another amount", "clear"] = "retry"
    pays: Literal["while it waits", "at once", "too late", "never"] = "while it waits"
    deferrable: bool = True
    timeout: float = 10
    posts: int = 1
    made: int | None = None
    links: int = 1
    paid: Literal[0, 1] = 1
    amount: int = 50
    state: str = "success"
    tries: int = 2

    @property
    def end(self) -> End:
        """What must come of it: never more than one link at a time, one key for each, one purchase."""
        return End(
            posts=self.posts,
            made=self.posts if self.made is None else self.made,
            keys=max(min(self.posts, 1), self.links),
            links=self.links,
            most_payable=min(self.links, 1),
            paid=[self.amount] * self.paid,
            state=self.state,
            tries=self.tries,
        )

    def __str__(self) -> str:
        story = {name: value for name, value in vars(self).items() if name not in _END}
        told = {name: value for name, value in story.items() if value not in (getattr(Row, name, None), {})}
        return " ".join(f"{name}={_short(value)}" for name, value in told.items())


_END = ("posts", "made", "links", "paid", "amount", "state", "tries", "timeout")


def _short(value: Any) -> str:
    return "+".join(f"{key}:{item}" for key, item in value.items()) if isinstance(value, dict) else str(value)


ONE_TRY = {"tries": 1}
#: The first answer is lost, and with it the link: nobody can pay that checkout, so a second one is made.
ORPHAN = {"posts": 2}
#: The lost answer was that of a card charged at once: there is nothing left to pay, and no link is needed.
CHARGED = {"server": CHARGES, "links": 0}
#: A page of a gateway, such as "Just a moment…".
GATEWAY = {"kind": "html", "status": 403}
LIES: list[dict[str, Any]] = [{"status": "expired"}, {"status": "processing"}, {"status": "weird"}, {"hidden": True}]
FOREIGN: list[dict[str, Any]] = [
    {"id": "cs_sub", "amount": None, "currency": "usd", "status": "completed", "created_at": "2026-01-01T00:00:00Z"},
    {"id": "cs_old", "amount": "fifty", "currency": None, "status": "pending", "created_at": "2026-01-01T00:00:00Z"},
    {"id": 7, "amount": -50, "currency": "eur", "status": None, "created_at": "2026-01-01T00:00:00Z"},
]

ROWS = [
    # The try dies; VideoDB has made a checkout, if it was asked to.
    Row(dies="before the intent"),
    Row(dies="before the intent", back="clear"),
    Row(dies="before the intent", back="retry with another amount", amount=100),
    Row(dies="before the POST"),
    Row(dies="before the POST", back="clear"),
    Row(dies="before the POST", **CHARGED),
    Row(dies="before the POST", back="retry with another amount"),
    Row(dies="after the answer", **ORPHAN),
    Row(dies="after the answer", **ORPHAN, back="clear"),
    Row(dies="after the answer", **ORPHAN, back="retry with another amount"),
    Row(dies="after the answer", **ORPHAN, server=LISTS_LATE),
    Row(dies="after the answer", **ORPHAN, made=1, server=HONOURS_KEY),
    Row(dies="after the answer", **CHARGED),
    Row(dies="after the answer", **CHARGED, back="clear"),
    Row(dies="after the answer", **CHARGED, back="retry with another amount"),
    Row(dies="after the answer", links=0, server=CHARGES_AND_HONOURS),
    Row(dies="after the answer", links=0, server=CHARGES | LISTS_LATE),
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
    Row(dies="before it is settled"),
    Row(dies="before the result"),
    Row(dies="before the result", back="clear"),
    Row(dies="before the result", **CHARGED),
    Row(dies="after the result", back="retry with another amount"),
    Row(back="clear"),
    Row(back="clear", **CHARGED),
    Row(back="clear", deferrable=False),
    # Airflow cannot write something down.
    Row(write="the intent"),
    Row(write="the answer", **ORPHAN),
    Row(write="the answer", **CHARGED),
    Row(write="that the link goes out"),
    Row(write="that the notifiers were called"),
    Row(write="that it is paid"),
    Row(write="the claim"),
    # The answer of the POST is lost; the try lives on.
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
    # It is lost twice, which is as often as one try asks.
    Row(post={"kind": "drop_before", "times": 2}),
    Row(post={"kind": "drop_after", "times": 2}, posts=3),
    Row(post={"kind": "drop_after", "times": 2}, posts=3, made=1, server=HONOURS_KEY),
    Row(post={"kind": "drop_after", "times": 2}, posts=3, back="clear"),
    Row(post={"kind": "drop_after", "times": 2}, posts=3, back="retry with another amount"),
    Row(post={"kind": "drop_after"}, dies="after the link", **ORPHAN),
    Row(post={"kind": "drop_after"}, dies="before the wait", **ORPHAN, back="clear"),
    # VideoDB refuses, and so has made nothing.
    Row(post={"kind": "status", "status": 429, "retry_after": "1"}),
    Row(post={"kind": "status", "status": 429}, back="retry with another amount", amount=100),
    Row(post={"kind": "status", "status": 400}),
    Row(post={"kind": "status", "status": 400}, back="retry with another amount", amount=100),
    Row(post={"kind": "status", "status": 402}),
    Row(post={"kind": "status", "status": 401}, posts=0, links=0, paid=0, state="failed", tries=1),
    Row(post={"kind": "status", "status": 403}, posts=0, links=0, paid=0, state="failed", tries=1),
    Row(post={"kind": "status", "status": 401}, back="clear"),
    # The list cannot be read.
    Row(look={"kind": "status"}),
    Row(look={"kind": "status", "skip": 2}),
    Row(look={"kind": "html", "skip": 2}, back="clear"),
    Row(look={"kind": "status", "skip": 2}, post={"kind": "drop_after"}, **ORPHAN),
    Row(look={"kind": "refuse", "skip": 2}, post={"kind": "drop_after"}, **CHARGED),
    Row(look={"kind": "drop_before", "skip": 2}, post={"kind": "drop_after"}, back="clear", **ORPHAN),
    Row(look={"kind": "truncated", "skip": 4}, **ONE_TRY),
    Row(look={"kind": "status", "skip": 4, "times": 5}),
    # Something between Airflow and VideoDB answers in its place.
    Row(post=GATEWAY, **ONE_TRY),
    Row(post=GATEWAY | {"status": 401}, **ONE_TRY),
    Row(post=GATEWAY | {"work": True}, **ORPHAN, **ONE_TRY),
    Row(post=GATEWAY | {"work": True}, **CHARGED, **ONE_TRY),
    Row(post=GATEWAY | {"work": True}, back="clear", **ORPHAN),
    Row(look=GATEWAY),
    Row(look=GATEWAY | {"skip": 2}),
    Row(look=GATEWAY | {"skip": 4, "times": 3}, **ONE_TRY),
    # The list says of a payable checkout what is not so (yet).
    *(Row(lie=says | {"times": 1}, **ONE_TRY) for says in LIES),
    *(Row(lie=says | {"times": 1}, dies="after the link") for says in LIES),
    *(Row(lie=says | {"times": 1}, dies="after the link", back="clear") for says in LIES),
    *(Row(lie=says | {"times": 2}, deferrable=False, **ONE_TRY) for says in LIES[1:]),
    # By two looks it is expired, so that the second try ends; the third sees the truth.
    Row(lie={"status": "expired", "times": 2}, dies="after the link", tries=3),
    # It goes on calling it expired, which a checkout that is minutes old cannot be.
    Row(lie={"status": "expired"}, dies="after the link", pays="never", paid=0, state="failed", tries=3),
    Row(lie={"status": "expired"}, pays="never", paid=0, state="failed", tries=3),
    # It forgets what was paid, or shows it as something else, and the task is cleared.
    *(Row(forgets=how, back="clear") for how in get_args(Forgets)),
    Row(forgets="hides it", back="clear", **CHARGED),
    Row(forgets="hides it", back="clear", deferrable=False),
    # Others have put into it what cannot be read.
    *(Row(foreign=entry, **ONE_TRY) for entry in FOREIGN),
    *(Row(foreign=entry, post={"kind": "drop_after"}, **ORPHAN, **ONE_TRY) for entry in FOREIGN),
    *(Row(foreign=entry, dies="after the link") for entry in FOREIGN),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_one_purchase(row: Row, person: Person, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    bought = told(row, person, connect, monkeypatch)

    assert end_of(bought, person) == row.end
    # The receipt stays, wherever the record was.
    kept = journal_of(bought)
    assert (len(kept["paid"]), bool(kept["paid"] and kept["posts"])) == (row.paid, False)


def test_every_fault_of_the_emulator_has_a_row() -> None:
    assert {fault["kind"] for row in ROWS if (fault := row.post)} == set(get_args(FaultKind))
    assert {row.dies for row in ROWS} - {None} == set(STEPS)
    assert {row.write for row in ROWS} - {None} == set(WRITES)


def end_of(bought: Bought, person: Person) -> End:
    """Take stock at VideoDB; a task that succeeded must name what was paid."""
    posts = person.emulator.calls("POST", TOPUP, accepted=True)
    checkouts = person.emulator.checkouts()
    paid = [checkout for checkout in checkouts if checkout.status == "completed"]
    if bought.state == "success":
        assert [(bought.result["checkout_id"], bought.result["amount"])] == [(one.id, one.amount) for one in paid]
    return End(
        posts=len(posts),
        made=len(checkouts),
        keys=len({post.headers["idempotency-key"] for post in posts}),
        links=len(person.links),
        most_payable=person.most_payable,
        paid=[checkout.amount for checkout in paid],
        state=bought.state,
        tries=bought.tries,
    )


def told(row: Row, person: Person, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Bought:
    """Tell the story of a row."""
    emulator = person.emulator
    emulator.change_settings(**row.server)
    connect(timeout=row.timeout, max_retries=0)
    if row.post:
        emulator.add_fault(method="POST", path=TOPUP, **row.post)
    if row.look:
        emulator.add_fault(method="GET", path=LIST, **row.look)
    if row.foreign:
        emulator.add_foreign_checkout(**row.foreign)
    if row.pays == "at once":
        person.on_sight = person.pays
    if row.pays == "too late":
        person.on_sight = in_turn(person.expires)
    if row.pays == "never":
        person.while_waiting = lambda: None
    if row.lie:
        person.on_sight = in_turn(functools.partial(_lie, person, row.lie))
    raised: list[BaseException] = []
    if row.dies:
        raised = STEPS[row.dies].breaks(Died(row.dies), monkeypatch)
    if row.write:
        raised = WRITES[row.write].breaks(ConnectionError("Airflow's API server is gone"), monkeypatch)
    shopping = Shopping(
        amount="{{ 50 * ti.try_number }}" if row.back == "retry with another amount" else "50",
        retries=0 if row.back == "clear" else 2,
        deferrable=row.deferrable,
    )
    bought = shopping.run()
    assert bool(raised) == bool(row.dies or row.write)
    if row.forgets:
        _forget(person, row.forgets)
    return shopping.clear(bought) if row.back == "clear" else bought


def _lie(person: Person, lie: dict[str, Any]) -> None:
    checkout_id = id_of(person.links[-1])
    if lie.get("hidden"):
        person.emulator.hide_checkout(checkout_id, times=lie["times"])
    else:
        person.emulator.show_checkout_as(checkout_id, **lie)


def _forget(person: Person, how: str) -> None:
    for checkout in person.emulator.checkouts():
        if how == "hides it":
            person.emulator.hide_checkout(checkout.id)
        else:
            person.emulator.show_checkout_as(checkout.id, status=how.rsplit(" ", 1)[1])
