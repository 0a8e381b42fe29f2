"""Reads records of purchases for a person. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME
from airflow_provider_videodb.exceptions import without_next_step
from airflow_provider_videodb.overview.money import listed_checkouts
from airflow_provider_videodb.overview.text import to_iso_moment
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG, candidates
from airflow_provider_videodb.purchases.rules.decide import Fail, decide
from airflow_provider_videodb.purchases.rules.observation import Observation
from airflow_provider_videodb.purchases.rules.resolution import resolution_variable
from airflow_provider_videodb.purchases.variables import variable_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

_BETWEEN = "__"
#: Nobody clears a task in these states to continue its purchase. ``None`` is a task instance that was deleted.
OVER = frozenset({"success", "skipped", "removed", None})


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskName:
    """A task instance in all its tries."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def from_variable(cls, prefix: str, key: str) -> TaskName | None:
        """
        Read the name of a Variable.

        :return: ``None`` if the name is a hash, or not ours.
        """
        parts = key.removeprefix(prefix + _BETWEEN).split(_BETWEEN)[:-1]
        # An id may contain the separator. The digest at the end of the key fits one way to split it.
        for first, second in combinations(range(1, len(parts) - 1), 2):
            ids = (parts[:first], parts[first:second], parts[second:-1])
            words = [*map(_BETWEEN.join, ids), parts[-1]]
            if variable_key(prefix, *words) == key:
                return cls._from_words(*words)
        return None

    @classmethod
    def from_owner(cls, owner: str) -> TaskName | None:
        """Read a claim's owner; ``None`` if somebody edited it."""
        dag_id, _, rest = owner.partition("/")
        words = rest.rsplit("/", 2)
        return cls._from_words(dag_id, *words) if len(words) == 3 else None

    @classmethod
    def _from_words(cls, dag_id: str, run_id: str, task_id: str, map_index: str) -> TaskName | None:
        try:
            return cls(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=int(map_index))
        except ValueError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for programs."""
        return {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": self.map_index,
        }

    def __str__(self) -> str:
        """Return the name for people."""
        place = "" if self.map_index < 0 else f" [{self.map_index}]"
        return f"DAG {self.dag_id}, run {self.run_id}, task {self.task_id}{place}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedPurchase:
    """
    The purchase of a task instance.

    :param task: ``None`` if the record does not say.
    :param state: of the task instance; ``None`` if it was deleted or is unknown.
    """

    task: TaskName | None
    purchase: Purchase
    state: str | None

    def link(self, *, now: datetime) -> str | None:
        """
        Return the link that people may pay, or ``None``.

        A link that was never shared is withheld, because its checkout may break a limit.
        """
        purchase = self.purchase
        if purchase.paid or not purchase.link_shared or not purchase.posts:
            return None
        is_young = now - datetime.fromisoformat(purchase.posts[-1]) < CHECKOUT_LIFETIME
        return purchase.payment_url if is_young else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Belonging:
    """
    Whose checkout it is.

    :param state: of the task instance; ``None`` if it was deleted.
    :param link: see :meth:`RecordedPurchase.link`.
    """

    task: TaskName
    state: str | None
    link: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for programs."""
        return {**self.task.to_dict(), "state": self.state, "payment_url": self.link}

    def __str__(self) -> str:
        """Return the text for people, with the state."""
        return f"{self.task} ({self.state or 'deleted'})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """
    A purchase with an unknown outcome.

    :param reason: why the task cannot know it.
    :param candidates: the checkouts that may be its own.
    """

    recorded: RecordedPurchase
    reason: str
    candidates: tuple[Checkout, ...]

    @property
    def id(self) -> str:
        """The id that a person types."""
        return resolution_variable(self.recorded.purchase).rpartition("_")[2]

    @property
    def name(self) -> str:
        """The task, for a text."""
        return str(self.recorded.task or f"the task of purchase {self.id}")

    def to_dict(self, *, resolution: str | None, now: datetime) -> dict[str, Any]:
        """
        Return the JSON for programs.

        :param resolution: what a person has written already.
        """
        purchase = self.recorded.purchase
        unknown = dict.fromkeys(("dag_id", "run_id", "task_id", "map_index"))
        return {
            "id": self.id,
            **(unknown if self.recorded.task is None else self.recorded.task.to_dict()),
            "state": self.recorded.state,
            "amount": purchase.amount,
            "asked_at": to_iso_moment(datetime.fromisoformat(purchase.posts[-1])) if purchase.posts else None,
            "reason": self.reason,
            "candidates": [one.to_dict() for one in listed_checkouts(self.candidates, now=now)],
            "resolution": resolution,
        }


def belongings(
    purchases: Iterable[RecordedPurchase], claims: Mapping[str, TaskName | None], *, now: datetime
) -> dict[str, Belonging]:
    """
    Return the task of each checkout, by its id.

    :param claims: the task of each claimed checkout. A record without a claim counts too.
    """
    own = {one.purchase.checkout_id: one for one in purchases if one.purchase.checkout_id and one.task}
    states = {one.task: one.state for one in own.values()}
    tasks = {**{checkout_id: one.task for checkout_id, one in own.items()}, **claims}
    return {
        checkout_id: Belonging(
            task=task,
            state=states.get(task),
            link=own[checkout_id].link(now=now) if checkout_id in own else None,
        )
        for checkout_id, task in tasks.items()
        if task is not None
    }


def question_of(
    recorded: RecordedPurchase,
    *,
    checkouts: Sequence[Checkout],
    claims: Mapping[str, TaskName | None],
    account: str,
    now: datetime,
) -> Question | None:
    """
    Return the open question about a purchase, or ``None``.

    :param checkouts: all of the account.
    :param claims: the task of each claimed checkout.
    :param account: fingerprint of the account that was asked.
    :param now: by our clock.
    """
    purchase = recorded.purchase
    if purchase.paid or not purchase.has_effect or (recorded.task is not None and recorded.state in OVER):
        return None
    others = {one for one, task in claims.items() if task is None or task != recorded.task}
    action = decide(
        purchase,
        Observation(
            amount=purchase.amount,
            checkouts=checkouts,
            now=now,
            quiet_for=_quiet_for(purchase, now),
            # The task polls twice. What one poll calls expired is enough to show the question.
            expired_for=LIST_LAG,
            account=account,
            claimed_by_others=others,
        ),
    )
    if not isinstance(action, Fail) or resolution_variable(purchase) not in str(action.error):
        return None
    return Question(
        recorded=recorded,
        reason=without_next_step(str(action.error)).removesuffix("Nothing more was bought.").rstrip(),
        candidates=tuple(one for one in candidates(purchase, checkouts) if one.id not in others),
    )


def seconds_until_known(recorded: RecordedPurchase, *, now: datetime) -> float:
    """
    Return how long nobody can tell whether a purchase has an unknown outcome; 0 if it can be told now.

    VideoDB may still carry out its POST, or not list the checkout yet.
    """
    purchase = recorded.purchase
    is_over = purchase.paid or (recorded.task is not None and recorded.state in OVER)
    if is_over or purchase.checkout_id is not None or not purchase.posts:
        return 0
    return max(0.0, (LIST_LAG - _quiet_for(purchase, now)).total_seconds())


def _quiet_for(purchase: Purchase, now: datetime) -> timedelta:
    if not purchase.posts:
        return LIST_LAG
    return now - datetime.fromisoformat(purchase.posts[-1]) - timedelta(seconds=purchase.in_flight)
