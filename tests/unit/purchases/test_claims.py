"""Claims on checkouts, in real Airflow Variables and in Variables that fail."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.purchases.claims import TaskClaims, VariableClaims, claim_variable
from tests.support.airflow_faults import REFUSALS
from tests.support.checkouts import LINK, NOON, asked, listed, made
from tests.support.dag_runs import new_dag, run
from tests.support.variables import Variables
from tests.support.worlds import IDENTITY, OTHER, OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.purchases.claims._CLAIM_RACE", 0.01)


def seen_by_tasks(airflow_db: None, *steps: Any) -> list[Any]:
    """Let each step run as a task of it, and return what they saw."""
    from airflow.sdk import task

    with new_dag("claims") as dag:
        tasks = [task(task_id=f"step_{number}")(step)() for number, step in enumerate(steps)]
        for earlier, later in itertools.pairwise(tasks):
            earlier >> later
    done = run(dag)
    assert done.state == "success"
    return [done.result(f"step_{number}") for number in range(len(steps))]


def claims() -> Any:
    from airflow_provider_videodb.purchases.claims import VariableClaims

    return VariableClaims()


def test_first_claim_wins(airflow_db: None) -> None:
    assert seen_by_tasks(
        airflow_db,
        lambda: claims().owner("cs_1"),
        lambda: claims().claim("cs_1", "a"),
        lambda: claims().claim("cs_1", "b"),
        lambda: claims().claim("cs_1", "a"),
        lambda: claims().owner("cs_1"),
    ) == [None, True, False, True, "a"]


def test_listed_checkout_is_claimed_as_well(airflow_db: None, short_waits: None) -> None:
    assert seen_by_tasks(
        airflow_db,
        lambda: claims().claim_from_list("cs_2", "a"),
        lambda: claims().claim_from_list("cs_2", "b"),
        lambda: claims().claim_from_list("cs_2", "a"),
        lambda: claims().owner("cs_2"),
    ) == [True, False, True, "a"]


def test_later_write_wins_if_two_claim_at_once(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def both() -> list[bool]:
        from airflow.sdk import Variable

        from airflow_provider_videodb.purchases.claims import claim_variable

        def other_writes(_seconds: float) -> None:
            Variable.set(claim_variable("cs_3"), "b")

        monkeypatch.setattr("airflow_provider_videodb.purchases.claims.time", SimpleNamespace(sleep=other_writes))
        return [bool(claims().claim_from_list("cs_3", "a")), claims().owner("cs_3") == "b"]

    assert seen_by_tasks(airflow_db, both) == [[False, True]]


@pytest.fixture
def let_others_claim(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return for how long others were let claim."""
    waited: list[float] = []
    monkeypatch.setattr("airflow_provider_videodb.purchases.claims.time", SimpleNamespace(sleep=waited.append))
    return waited


def claimed(variables: Variables, **owners: str) -> None:
    variables.kept |= {claim_variable(checkout_id): owner for checkout_id, owner in owners.items()}


@pytest.mark.parametrize(
    "checkout_id", ["cs_live_a1B2", "x" * 400, "../cs", "cs 1", "cs_\u00e9", "\ud800", "a/b?c=d#e"], ids=ascii
)
def test_claim_has_a_variable_for_any_id(variables: Variables, checkout_id: str) -> None:
    claims = VariableClaims()
    assert claims.owner(checkout_id) is None
    assert claims.claim(checkout_id, OWNER)

    assert claims.owner(checkout_id) == OWNER
    assert not claims.claim(checkout_id, OTHER)
    assert not claims.owner(f"{checkout_id}_")
    assert list(variables.kept) == [claim_variable(checkout_id)]


def test_listed_checkout_is_read_again_two_seconds_later(variables: Variables, let_others_claim: list[float]) -> None:
    assert VariableClaims().claim_from_list("cs_1", OWNER)
    assert let_others_claim == [2]
    assert not VariableClaims().claim_from_list("cs_1", OTHER)
    assert let_others_claim == [2]


@pytest.mark.parametrize("fault", REFUSALS, ids=repr)
@pytest.mark.parametrize("act", [VariableClaims.claim, VariableClaims.claim_from_list])
def test_claim_that_airflow_does_not_keep_is_an_error(variables: Variables, fault: Any, act: Any) -> None:
    variables.writing = fault

    with pytest.raises(VideoDBRecordNotKeptError):
        act(VariableClaims(), "cs_1", OWNER)


@pytest.mark.parametrize("error", [ErrorType.VARIABLE_NOT_FOUND, ErrorType.API_SERVER_ERROR])
@pytest.mark.parametrize(
    "act",
    [
        lambda claims: claims.owner("cs_1"),
        lambda claims: claims.claim("cs_1", OWNER),
        lambda claims: claims.claim_from_list("cs_1", OWNER),
    ],
    ids=["owner", "claim", "take"],
)
def test_claim_that_airflow_does_not_show_is_not_absent(variables: Variables, error: ErrorType, act: Any) -> None:
    """A task whose claim is overwritten fails for good, and another's checkout is taken for its own."""
    claimed(variables, cs_1=OTHER)
    variables.failing = error

    with pytest.raises(VideoDBRecordUnreadableError):
        act(VariableClaims())
    assert variables.kept == {claim_variable("cs_1"): OTHER}


def test_claim_that_vanishes_after_the_write_is_an_error(variables: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "airflow_provider_videodb.purchases.claims.time", SimpleNamespace(sleep=lambda _: variables.kept.clear())
    )
    with pytest.raises(VideoDBRecordUnreadableError) as caught:
        VariableClaims().claim_from_list("cs_1", OWNER)
    assert str(caught.value) == (
        "Airflow does not show the Variable 'videodb_checkout__cs_1' that this task just wrote. So it is unknown whose "
        "checkout cs_1 is. Nothing more was bought. Next step: check Airflow's API server and its database, then retry "
        "the task."
    )


class TestTaskClaims:
    @pytest.mark.parametrize(
        ("entries", "others"),
        [
            ([], []),
            ([listed("cs_3")], []),
            ([listed("cs_1"), listed("cs_2"), listed("cs_3")], ["cs_2"]),
            ([listed(None), listed("cs_2")], ["cs_2"]),
        ],
    )
    def test_claims_of_other_tasks_are_found(
        self, variables: Variables, entries: list[Checkout], others: list[str]
    ) -> None:
        claimed(variables, cs_1=OWNER, cs_2=OTHER, none=OTHER)

        assert TaskClaims(VariableClaims(), IDENTITY).of_others(entries) == others

    @pytest.mark.parametrize(
        ("purchase", "waits"),
        [
            # What a response named nobody else can have, as long as nobody has paid it without a link.
            (made(), False),
            (made(link_shared=True), False),
            (made(link_shared=True, paid=("cs_1",)), False),
            (made(paid=("cs_1",)), True),
            # What was found in the list may be taken by another at this moment.
            (asked(payment_url=LINK).matched(listed()), True),
            (made(id_source="list", link_shared=True), True),
        ],
    )
    def test_claim_waits_for_others_only_where_they_can_claim(
        self, variables: Variables, let_others_claim: list[float], purchase: Purchase, waits: bool
    ) -> None:
        claims = TaskClaims(VariableClaims(), IDENTITY)
        claims.claim(purchase)

        assert variables.kept == {claim_variable("cs_1"): OWNER}
        assert bool(let_others_claim) is waits

    def test_purchase_without_a_checkout_claims_nothing(self, variables: Variables) -> None:
        claims = TaskClaims(VariableClaims(), IDENTITY)
        claims.claim(asked())
        claims.claim_paid(made())

        assert claims.confirm_paid(made()) == made()
        assert variables.kept == {}

    @pytest.mark.parametrize("claim", [TaskClaims.claim, TaskClaims.claim_paid, TaskClaims.confirm_paid])
    def test_claim_of_another_task_stops_the_purchase(
        self, variables: Variables, let_others_claim: list[float], claim: Any
    ) -> None:
        claimed(variables, cs_1=OTHER)

        with pytest.raises(VideoDBPurchaseUnknownError) as caught:
            claim(TaskClaims(VariableClaims(), IDENTITY), made(paid=("cs_1",)))
        assert str(caught.value) == (
            "Another task has claimed checkout cs_1 for 50 USD, so it is unknown which task it belongs to. Nothing "
            "more was bought. Next step: look for it in VideoDB's console, then start a new DAG run to buy again."
        )

    def test_claim_covers_all_that_a_person_named(self, variables: Variables, let_others_claim: list[float]) -> None:
        claims = TaskClaims(VariableClaims(), IDENTITY)
        claims.claim_paid(made(paid=("cs_1", "cs_2")))
        assert {variables.kept[claim_variable(name)] for name in ("cs_1", "cs_2")} == {OWNER}

        claimed(variables, cs_2=OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError):
            claims.claim_paid(made(paid=("cs_1", "cs_2")))


class SlowClock:
    """A clock on which every question to Airflow takes some seconds, as long as ``pauses`` says."""

    def __init__(self, *pauses: float) -> None:
        self._pauses = [0.0, *pauses]
        self._seconds = 0.0

    def monotonic(self) -> float:
        self._seconds += self._pauses.pop(0) if self._pauses else 0.0
        return self._seconds

    def now(self) -> datetime:
        return NOON


@pytest.mark.parametrize(("pauses", "is_claimed"), [((6,), True), ((6, 0, 6), True), ((6, 0, 6, 0, 6), False)])
def test_claim_is_not_written_on_an_old_read(
    monkeypatch: pytest.MonkeyPatch, pauses: tuple[float, ...], is_claimed: bool
) -> None:
    """The worker froze after it saw that nobody has the checkout."""
    kept = Variables()
    kept.install(monkeypatch)
    claims = VariableClaims(clock=SlowClock(*pauses))  # type: ignore[arg-type]
    if is_claimed:
        assert claims.claim("cs_1", "a")
    else:
        with pytest.raises(VideoDBRecordNotKeptError, match="longer than"):
            claims.claim("cs_1", "a")

    assert (claims.owner("cs_1") == "a") is is_claimed
