"""Play one row of the failure matrix and count what VideoDB and the person saw."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.support.purchases import LIST, TOPUP, PurchaseRuns, id_of, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.purchases import Bought, Person

#: Settings of the emulator.
Server = dict[str, Any]
Forgets = Literal["hides it", "calls it expired", "calls it pending"]


@dataclass(frozen=True, kw_only=True)
class End:
    """
    The end of a story.

    :param posts: POSTs that VideoDB carried out.
    :param made: checkouts that these POSTs made.
    :param keys: different idempotency keys of these POSTs.
    :param links: different links that the person saw.
    :param most_payable: links that the person could pay at the same time.
    :param paid: the price of each paid checkout, in USD.
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

    :param dies: the step at which the first try dies.
    :param write: the write that Airflow fails to store.
    :param post: the fault that the POST meets.
    :param list_fault: the fault that a read of the list meets.
    :param server: the settings of VideoDB.
    :param lie: a false state that the list shows for the checkout once its link is out.
    :param forgets: a false state that the list shows for a paid checkout before the task is cleared.
    :param foreign: an entry of the list that another program made.
    :param back: how the task comes back.
    :param pays: when the person pays the link.
    :param timeout: seconds that the connection allows for a response.
    :param made: checkouts that the POSTs made, if not one each.
    """

    dies: str | None = None
    write: str | None = None
    post: dict[str, Any] | None = None
    list_fault: dict[str, Any] | None = None
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
        """Derive the end: one payable link at a time, one key for each link, one purchase."""
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


def play(row: Row, person: Person, connect: Callable[..., None]) -> Bought:
    """Run the task of a row, and run it again where the row says so."""
    connect(timeout=row.timeout, max_retries=0)
    _prepare_videodb(row, person)
    _prepare_person(row, person)
    purchasing = PurchaseRuns(
        amount="{{ 50 * ti.try_number }}" if row.back == "retry with another amount" else "50",
        retries=0 if row.back == "clear" else 2,
        deferrable=row.deferrable,
    )
    bought = purchasing.run()
    if row.forgets:
        _forget(person, row.forgets)
    return purchasing.clear(bought) if row.back == "clear" else bought


def end_of(bought: Bought, person: Person) -> End:
    """Count at VideoDB, and check that a successful task names the paid checkout."""
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


def _prepare_videodb(row: Row, person: Person) -> None:
    emulator = person.emulator
    emulator.change_settings(**row.server)
    if row.post:
        emulator.add_fault(method="POST", path=TOPUP, **row.post)
    if row.list_fault:
        emulator.add_fault(method="GET", path=LIST, **row.list_fault)
    if row.foreign:
        emulator.add_foreign_checkout(**row.foreign)


def _prepare_person(row: Row, person: Person) -> None:
    if row.pays == "at once":
        person.on_sight = person.pays
    if row.pays == "too late":
        person.on_sight = in_turn(person.expires)
    if row.pays == "never":
        person.while_waiting = lambda: None
    if row.lie:
        person.on_sight = in_turn(functools.partial(_lie, person, row.lie))


def _lie(person: Person, lie: dict[str, Any]) -> None:
    checkout_id = id_of(person.links[-1])
    if lie.get("hidden"):
        person.emulator.hide_checkout(checkout_id, times=lie["times"])
    else:
        person.emulator.show_checkout_as(checkout_id, **lie)


def _forget(person: Person, how: Forgets) -> None:
    for checkout in person.emulator.checkouts():
        if how == "hides it":
            person.emulator.hide_checkout(checkout.id)
        else:
            person.emulator.show_checkout_as(checkout.id, status=how.rsplit(" ", 1)[1])
