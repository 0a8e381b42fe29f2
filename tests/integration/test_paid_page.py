"""Which page a person sees after the payment: what VideoDB receives over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.orders import posted
from tests.support.purchases import PurchaseRuns, journal_of

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person

BASE_URL = "AIRFLOW__API__BASE_URL"
OWN = "https://example.org/paid"


@pytest.mark.parametrize(
    ("base_url", "page"),
    [
        ("http://localhost:8080", "http://localhost:8080/videodb/paid"),
        ("https://airflow.example/team/", "https://airflow.example/team/videodb/paid"),
        # VideoDB may refuse these, and a refused page would refuse the purchase.
        ("http://airflow.example", None),
        ("https://airflow.example/?team=a", None),
        ("airflow.example", None),
    ],
)
@pytest.mark.parametrize("operator", ["TopupOperator", "EnsureCreditsOperator"])
def test_default_page_is_the_one_of_this_airflow(
    person: Person,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    *,
    operator: str,
    base_url: str,
    page: str | None,
) -> None:
    monkeypatch.setenv(BASE_URL, base_url)
    person.while_waiting = person.pays
    amount = {"amount": 50} if operator == "TopupOperator" else {"credits": 53}
    bought = PurchaseRuns(operator, **amount).run()

    assert bought.state == "success"
    assert [request.get("redirect_url") for request in posted(emulator)] == [page]


def test_page_of_the_task_is_kept(person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE_URL, "https://airflow.example")
    person.while_waiting = person.pays
    bought = PurchaseRuns(amount=50, redirect_url=OWN).run()

    assert [request["redirect_url"] for request in posted(emulator)] == [OWN]
    assert journal_of(bought)["redirect_url"] == OWN
