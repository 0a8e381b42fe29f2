"""
Records that a released version wrote, read by this one.

Each file of ``records`` is what the journal keeps in one state of a purchase. A file is never changed, because tasks
that run while somebody upgrades or downgrades have such records.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.claims import claim_variable
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.resolution import resolution_variable
from tests.support.checkouts import expired, listed, responded
from tests.support.tries import StandInTry
from tests.support.variables import Store
from tests.support.worlds import OTHER, OWNER, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.api.models import Checkout

RECORDS = Path(__file__).parent / "records"
STATES = sorted(path.stem for path in RECORDS.glob("*.json"))
TRY = "01a2134f-a4b2-7000-8000-000000000001"
LINK = "https://pay.example/cs_1"
A_POST = {
    "generation": 0,
    "amount": 50,
    "currency": "usd",
    "key": "0123456789abcdef" * 4,
    "balance_before": 3.5,
    "account": "a1b2c3d4",
    "posts": ("2026-01-15T12:00:00+00:00",),
}
A_CHECKOUT = A_POST | {
    "checkout_id": "cs_1",
    "id_source": "response",
    "payment_url": LINK,
    "excluded_ids": ("cs_9",),
}
A_LINK = A_CHECKOUT | {"link_shared": True, "notified": ("0:SlackNotifier",)}
A_RECEIPT = A_LINK | {"posts": (), "excluded_ids": (), "paid_at": "2026-01-15T12:00:00+00:00"}
MEANINGS = {
    "rejected": A_POST | {"posts": ()},
    "intent_sent": A_POST | {"in_flight": 45.0, "excluded_ids": ("cs_9",)},
    "response_lost": A_POST | {"orphans": ("cs_7",)},
    "checkout_made": A_CHECKOUT,
    "link_without_id": A_POST | {"payment_url": "https://pay.example/link"},
    "id_from_list": A_CHECKOUT | {"id_source": "list", "link_shared": True},
    "link_shared": A_LINK,
    "in_required_actions": A_LINK | {"action_max_tries": 2},
    "reminded": A_LINK
    | {"reminded_at": "2026-01-15T18:00:00+00:00", "redirect_url": "https://airflow.example/videodb/paid"},
    "orphans_and_ended": A_LINK | {"generation": 2, "orphans": ("cs_7",), "ended": {"cs_0": 20, "cs_7": 50}},
    "paid": A_RECEIPT | {"paid": ("cs_1",)},
    "paid_twice": A_RECEIPT | {"orphans": ("cs_7",), "paid": ("cs_1", "cs_7")},
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made_up = World(account="a1b2c3d4")
    made_up.install(monkeypatch)
    return made_up


def golden(state: str) -> Any:
    return json.loads((RECORDS / f"{state}.json").read_text())


def as_written(record: Any) -> Any:
    return record


def as_format_2_writes(record: Any) -> Any:
    """Return the record as the next format may write it: with fields that this version does not know."""
    purchase = record["purchase"] | {"format": 2, "approved_by": ["a person"]}
    return record | {"format": 2, "purchase": purchase, "written_at": 1768478400}


def as_format_0_wrote(record: Any) -> Any:
    """Return the record as it was before it had a format, or a field that no decision about money uses."""
    came_later = (
        *("format", "balance_before", "notified", "paid_at"),
        *("action_max_tries", "reminded_at", "redirect_url"),
    )
    purchase = {name: value for name, value in record["purchase"].items() if name not in came_later}
    return {"try": record["try"], "purchase": purchase}


each_format = pytest.mark.parametrize("written", [as_format_0_wrote, as_written, as_format_2_writes])


@pytest.mark.parametrize("state", STATES)
def test_golden_record_means_what_it_meant(state: str) -> None:
    store = Store()
    store.set("videodb_purchase", golden(state))

    assert Journal(store, StandInTry(TRY)).load() == Purchase(**MEANINGS[state])  # type: ignore[arg-type]


@pytest.mark.parametrize("state", STATES)
def test_this_version_writes_the_golden_record(state: str) -> None:
    store = Store()
    Journal(store, StandInTry(TRY)).save(Purchase(**MEANINGS[state]))  # type: ignore[arg-type]

    assert store.get("videodb_purchase") == golden(state)


@pytest.mark.parametrize(
    ("state", "shown", "posts"),
    [
        # Nothing was sent, or nothing came of it: one POST.
        ("rejected", [], 1),
        ("intent_sent", [], 1),
        ("response_lost", [listed("cs_7")], 1),
        # A stored card was charged for a POST whose response was lost.
        ("intent_sent", [listed(status="completed")], 0),
        ("response_lost", [listed("cs_7", "completed")], 0),
        # People can pay a link: no POST.
        ("checkout_made", [listed()], 0),
        ("link_without_id", [listed()], 0),
        ("id_from_list", [listed()], 0),
        ("link_shared", [listed()], 0),
        ("link_shared", [], 0),
        ("in_required_actions", [listed()], 0),
        ("orphans_and_ended", [listed(), listed("cs_7"), expired("cs_0")], 0),
        # It is paid, whatever the list shows.
        ("paid", [], 0),
        ("paid_twice", [expired()], 0),
    ],
)
@each_format
def test_pending_payment_survives_a_change_of_version(
    world: World, written: Callable[[Any], Any], state: str, shown: list[Checkout], posts: int
) -> None:
    record = written(golden(state))
    world.store.set("videodb_purchase", record)
    world.entries, world.responses = shown, [responded("cs_2")]
    world.this_try.id = "the next try"
    bought = world.buys()

    assert len(world.posts) == posts
    if not bought.paid:
        executor = world.executor
        assert executor.load_existing() == bought
        bought = executor.record(bought.notified_by("1:EmailNotifier"))
        paid = str(bought.checkout_id)
        world.entries = [listed(paid, "completed")]
        world.this_try.id = "the try after that"
        bought = world.executor.confirm(bought.marked_paid([paid]))
        assert bought.paid == (paid,)
    # A cleared task buys nothing more.
    world.this_try.id = "a cleared try"
    assert world.buys().paid == bought.paid
    assert len(world.posts) == posts
    kept = world.store.get("videodb_purchase")
    unknown = {name for name in record if name not in ("format", "try", "purchase")}
    assert {name: kept[name] for name in unknown} == {name: record[name] for name in unknown}
    assert kept["purchase"].get("approved_by") == record["purchase"].get("approved_by")
    assert kept["format"] == kept["purchase"]["format"] == 1


@each_format
def test_next_generation_keeps_what_a_newer_format_wrote(world: World, written: Callable[[Any], Any]) -> None:
    record = written(golden("link_shared"))
    world.store.set("videodb_purchase", record)
    world.entries, world.responses = [expired()], [responded("cs_2")]
    bought = world.buys()

    assert (bought.generation, bought.ended) == (1, {"cs_1": 50})
    assert world.store.get("videodb_purchase")["purchase"].get("approved_by") == record["purchase"].get("approved_by")


@pytest.mark.parametrize(
    "name",
    [
        *("generation", "amount", "currency", "key", "account", "posts", "in_flight", "excluded_ids", "orphans"),
        *("ended", "checkout_id", "id_source", "payment_url", "link_shared", "paid"),
    ],
)
def test_format_with_another_meaning_stops_the_task(world: World, name: str) -> None:
    """A field that gets another meaning gets another name, so its old name is missing."""
    record = golden("link_shared")
    record["purchase"][f"{name}_v2"] = record["purchase"].pop(name)
    world.store.set("videodb_purchase", record)

    with pytest.raises(VideoDBPurchaseUnknownError, match=f"because {name} is missing"):
        world.buys()
    assert world.done == ["read"]
    assert world.store.get("videodb_purchase") == record


@pytest.mark.parametrize("record", [5, [], "{}", {}, {"try": 1}, {"try": "a"}, {"format": "1", "try": "a"}], ids=str)
def test_unreadable_record_stops_the_task(world: World, record: Any) -> None:
    world.store.set("videodb_purchase", record)
    with pytest.raises(VideoDBPurchaseUnknownError, match="cannot be read"):
        world.buys()

    assert world.posts == []


def test_claims_keep_name_and_value(world: World) -> None:
    """They are plain text, not a format: another version must find them and read the same owner."""
    world.responses = [responded()]
    world.buys()

    assert claim_variable("cs_1") == "videodb_checkout__cs_1"
    assert world.variables.kept["videodb_checkout__cs_1"] == OWNER == "dag/run/task/-1"
    assert OTHER == "dag/run/other/-1"


def test_resolution_keeps_the_name_that_people_were_told() -> None:
    purchase = Purchase(**MEANINGS["intent_sent"])  # type: ignore[arg-type]
    assert resolution_variable(purchase) == "videodb_resolution_0123456789abcdef"
