"""What surrounds the purchase of one task: an account, what Airflow keeps, two clocks; and what is done to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_videodb.purchases.claims import TaskClaims, VariableClaims
from airflow_provider_videodb.purchases.executor import PurchaseExecutor
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.need import Need
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from tests.support.checkouts import NOON
from tests.support.tries import StandInTry
from tests.support.variables import Store, Variables

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.decide import AskApproval
    from airflow_provider_videodb.purchases.rules.observation import Observation
    from airflow_provider_videodb.purchases.stores import VariableStore

IDENTITY = ("dag", "run", "task", "-1")
OWNER, OTHER = "dag/run/task/-1", "dag/run/other/-1"
ACCOUNT = "account-1"
#: Seconds that one poll of the list and one POST take.
POLL, POST = 1, 2
#: How long a POST of this world may take, in seconds.
POST_TIMEOUT = 30


@dataclass
class World:
    """
    Notes in ``done`` what is done to it, in order.

    :param entries: VideoDB's list.
      :param responses: what the POSTs return, one after the other.
    :param needs: what is needed at each assessment, in order; the last one stays.
    """

    entries: list[Checkout] = field(default_factory=list)
    responses: list[Checkout | Exception] = field(default_factory=list)
    needs: list[int] = field(default_factory=lambda: [50])
    limits: SpendLimits = field(default_factory=SpendLimits)
    account: str = ACCOUNT
    #: Which purchases a person has to approve, and how this try asks.
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    ask: Callable[[AskApproval, Observation], NoReturn] | None = None
    this_try: StandInTry = field(default_factory=StandInTry)
    #: By the clock on the wall, which somebody can set, and in seconds that nobody can set back.
    time: datetime = NOON
    seconds: float = 1000
    done: list[str] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    store: Store = field(default_factory=Store)
    #: Where the record is kept in place of that store, if it is.
    place: VariableStore | None = None
    variables: Variables = field(default_factory=Variables)
    #: What happens once the request could be written, while a POST is under way, and at the nth poll of the list.
    before_writing: Callable[[], object] = lambda: None
    meanwhile: Callable[[], object] = lambda: None
    at_poll: dict[int, Callable[[], object]] = field(default_factory=dict)
    on_save: Callable[[], object] = lambda: None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put its Variables where a task asks for them, and note what is claimed."""
        self.variables.install(monkeypatch)
        self.variables.on_write = self._note_claim
        waits = SimpleNamespace(sleep=lambda _: self.done.append("let others claim"))
        monkeypatch.setattr("airflow_provider_videodb.purchases.claims.time", waits)

    def _note_claim(self, key: str, _value: str) -> None:
        if key.startswith("videodb_checkout__"):
            self.done.append(f"claim {key.rsplit('__', 1)[1]}")

    @property
    def executor(self) -> PurchaseExecutor:
        """Return the executor of this try; each one reads the record anew."""
        return PurchaseExecutor(
            api=self,
            journal=Journal(self.place or NotedStore(self), self.this_try),
            claims=TaskClaims(VariableClaims(), IDENTITY),
            current_try=self.this_try,
            limits=self.limits,
            identity=IDENTITY,
            account=self.account,
            post_timeout=POST_TIMEOUT,
            policy=self.policy,
            ask=self.ask,
            clock=self,  # type: ignore[arg-type]  # it has what a clock has
        )

    def obtains(self, **how: Any) -> Purchase | None:
        """Let this try buy what is needed, if anything is."""
        executor = self.executor
        rest = {"currency": "usd", "redirect_url": "https://back.example"} | how
        return executor.obtain_checkout(executor.load_existing(), self.assess, **rest)

    def buys(self, **how: Any) -> Purchase:
        """Let this try buy."""
        bought = self.obtains(**how)
        assert bought is not None
        return bought

    def assess(self) -> Need:
        self.done.append("assess")
        amount = self.needs[0] if len(self.needs) == 1 else self.needs.pop(0)
        return Need(amount=amount, balance=3.5)

    def passes(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds

    @property
    def money(self) -> list[str]:
        """What was done, without assessments and reads of the record."""
        return [did for did in self.done if did not in ("assess", "read")]

    @property
    def record(self) -> Purchase | None:
        kept = self.store.get("videodb_purchase")
        return None if kept is None else Purchase.from_dict(kept["purchase"])

    @record.setter
    def record(self, purchase: Purchase) -> None:
        self.keeps(purchase)

    def keeps(self, purchase: Purchase, *, by: str | None = None) -> None:
        """Keep a record as a try has written it, this one unless it says another."""
        record = {"format": 1, "try": by or self.this_try.id, "purchase": purchase.to_dict()}
        self.store.set("videodb_purchase", record)

    @property
    def claims(self) -> dict[str, str]:
        return {key.rsplit("__", 1)[1]: owner for key, owner in self.variables.kept.items() if "checkout__" in key}

    def claim(self, checkout_id: str, owner: str) -> None:
        self.variables.kept[f"videodb_checkout__{checkout_id}"] = owner

    # What is asked of the account and of the clock

    def list_checkouts(self) -> list[Checkout]:
        self.done.append("poll")
        self.passes(POLL)
        self.at_poll.get(self.done.count("poll"), lambda: None)()
        return list(self.entries)

    def topup(self, amount: int, *, before_send: Callable[[], None], **rest: Any) -> Checkout:
        self.before_writing()
        before_send()
        self.done.append("post")
        self.posts.append({"amount": amount, "at": self.time.isoformat()} | rest)
        self.passes(POST)
        self.meanwhile()
        response = self.responses.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.done.append(f"sleep {seconds:g}")
        self.passes(seconds)


@dataclass
class NotedStore:
    """The store of a world, which notes what is read and written."""

    world: World

    def get(self, name: str) -> Any:
        self.world.done.append("read")
        return self.world.store.get(name)

    def set(self, name: str, value: Any) -> None:
        self.world.done.append("save")
        self.world.store.set(name, value)
        self.world.on_save()

    def delete(self, name: str) -> None:
        raise AssertionError(f"{name} is a receipt")
