"""A list with wrong, hidden and foreign entries."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.emulator.errors import InvalidValueError, NotFoundError

FOREIGN = {"id": "cs_foreign", "amount": None, "currency": "eur", "status": "weird", "created_at": "yesterday"}


@pytest.fixture
def made(emulator, api):
    """Make three checkouts and return their ids, newest first."""
    for _ in range(3):
        api.post("/billing/topup", {"amount": 50})
    return [checkout.id for checkout in emulator.checkouts()]


@pytest.fixture
def listed(api):
    """Read the list page by page, and return its entries."""

    def read(page_size=2):
        entries, offset = [], 0
        while page := api.get("/billing/checkouts", params={"limit": page_size, "offset": offset}).json()["data"]:
            entries += page
            offset += len(page)
        return entries

    return read


@pytest.fixture
def statuses(listed, made):
    def read():
        entries = {entry["id"]: entry["status"] for entry in listed()}
        return [entries.get(checkout_id, "hidden") for checkout_id in made]

    return read


def test_shown_status_lasts_for_its_number_of_reads(emulator, made, statuses):
    emulator.show_checkout_as(made[2], status="expired", times=2)
    for shown in ("expired", "expired", "pending"):
        assert statuses() == ["pending", "pending", shown]
    assert emulator.checkout(made[2]).status == "pending"


def test_list_fault_may_begin_later(emulator, made, statuses):
    emulator.show_checkout_as(made[0], status="processing", skip=1, times=1)
    emulator.hide_checkout(made[1], skip=2)
    assert statuses() == ["pending", "pending", "pending"]
    assert statuses() == ["processing", "pending", "pending"]
    assert statuses() == statuses() == ["pending", "hidden", "pending"]


def test_checkout_with_a_list_fault_can_be_paid(emulator, made, statuses):
    emulator.show_checkout_as(made[0], status="expired")
    emulator.hide_checkout(made[1])
    for checkout_id in made[:2]:
        emulator.pay(checkout_id)
    assert statuses() == ["expired", "hidden", "pending"]
    emulator.clear_list_faults()
    assert statuses() == ["completed", "completed", "pending"]


def test_any_field_can_be_wrong_until_the_next_fault(emulator, made, listed):
    emulator.show_checkout_as(made[0], amount="many", created_at=None, currency="eur")
    assert listed()[0] == {
        "id": made[0],
        "amount": "many",
        "currency": "eur",
        "status": "pending",
        "created_at": None,
    }
    emulator.show_checkout_as(made[0], status="expired")
    assert (listed()[0]["amount"], listed()[0]["status"]) == (50, "expired")


@pytest.mark.parametrize("dialect", ["openapi", "sample"])
def test_foreign_entries_are_listed_unchecked(emulator, api, dialect):
    emulator.change_settings(dialect=dialect)
    for entry in ({"anything": [1, {}]}, {"id": "\ud800", "amount": -5}, FOREIGN):
        emulator.add_foreign_checkout(**entry)
    shown = api.get("/billing/checkouts").json()
    assert shown["data" if dialect == "openapi" else "checkouts"] == [
        FOREIGN,
        {"id": "\ud800", "amount": -5},
        {"anything": [1, {}]},
    ]
    assert emulator.checkouts() == []


def test_list_faults_can_be_set_over_http(emulator, control, made, statuses, listed):
    for path, body in (
        (f"/checkouts/{made[0]}/show_as", {"fields": {"status": "expired"}, "times": 1}),
        (f"/checkouts/{made[1]}/hide", {"skip": 1}),
        ("/foreign_checkouts", {"amount": 0.5}),
    ):
        assert control("POST", path, body).status_code == 200
    assert [entry.get("status") for entry in listed()] == [None, "expired", "pending", "pending"]
    emulator.clear_list_faults()
    control("POST", f"/checkouts/{made[1]}/hide", {})
    assert statuses() == ["pending", "hidden", "pending"]
    control("DELETE", "/list_faults")
    assert statuses() == ["pending", "pending", "pending"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/checkouts/cs_test_x/show_as", {"fields": {"status": "expired"}}, 404),
        ("/checkouts/cs_test_x/hide", {}, 404),
        ("/checkouts/{made}/show_as", {}, 400),
        ("/checkouts/{made}/show_as", {"fields": {}}, 400),
        ("/checkouts/{made}/show_as", {"fields": "expired"}, 400),
        ("/checkouts/{made}/hide", {"times": 0}, 400),
        ("/checkouts/{made}/hide", {"skip": -1}, 400),
    ],
)
def test_wrong_list_fault_is_refused_over_http(control, made, path, body, status):
    assert control("POST", path.format(made=made[0]), body).status_code == status


def test_wrong_list_fault_is_refused_in_python(emulator, made):
    with pytest.raises(NotFoundError):
        emulator.hide_checkout("cs_test_x")
    for fields in ({}, {"amount": object()}):
        with pytest.raises(InvalidValueError):
            emulator.show_checkout_as(made[0], **fields)


def test_reset_removes_list_faults(emulator, listed):
    emulator.add_foreign_checkout(**FOREIGN)
    emulator.reset()
    assert listed() == []
