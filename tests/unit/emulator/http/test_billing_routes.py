"""The billing calls over HTTP, in both dialects."""

from __future__ import annotations

import pytest

ROUTES = [
    ("GET", "/billing/usage"),
    ("POST", "/billing/topup"),
    ("POST", "/billing/checkout"),
    ("GET", "/billing/checkouts"),
    ("GET", "/billing/invoices"),
    ("GET", "/billing/auto_recharge"),
    ("POST", "/billing/auto_recharge"),
]


@pytest.fixture
def speak(emulator):
    return lambda dialect: emulator.change_settings(dialect=dialect)


def assert_refused(response, status, code):
    body = response.json()
    assert (response.status_code, body["success"], body["error_code"]) == (status, False, code), body
    assert body["message"]
    assert set(body) == {"success", "message", "error_code"}


def test_openapi_dialect_responds_as_documented(emulator, api):
    emulator.charge("0.5", "index_scenes")
    assert api.get("/billing/usage").json() == {
        "success": True,
        "data": {"credit_balance": 2.5, "usage_this_month": 0.5, "breakdown": {"index_scenes": 0.5}},
    }
    topup = api.post("/billing/topup", {"amount": 50, "currency": "USD"}).json()
    checkout = api.post("/billing/checkout", {"mode": "subscription", "plan_id": "pro"}).json()
    second, first = emulator.checkouts()
    assert topup == {"success": True, "data": {"url": f"{emulator.base_url}/pay/{first.id}"}}
    assert checkout == {"success": True, "data": {"url": emulator.payment_url(second.id)}}
    emulator.pay(first.id)
    listed = api.get("/billing/checkouts").json()
    assert [(c["id"], c["amount"], c["currency"], c["status"]) for c in listed["data"]] == [
        (second.id, 20, "usd", "pending"),
        (first.id, 50, "usd", "completed"),
    ]
    assert set(listed["data"][0]) == {"id", "amount", "currency", "status", "created_at"}
    (invoice,) = api.get("/billing/invoices").json()["data"]
    assert set(invoice) == {"id", "amount", "currency", "status", "pdf_url", "created_at"}
    assert (invoice["amount"], invoice["status"]) == (50, "paid")
    assert api.post("/billing/auto_recharge", {"enabled": True, "threshold": 10.5, "amount": 50}).json() == {
        "success": True,
        "message": "Auto recharge settings updated",
    }
    assert api.get("/billing/auto_recharge").json() == {
        "success": True,
        "data": {"enabled": True, "threshold": 10.5, "amount": 50},
    }


def test_sample_dialect_responds_as_the_sample_code_reads(emulator, api, speak):
    speak("sample")
    emulator.charge(1)
    usage = api.get("/billing/usage").json()
    assert (usage["credits_remaining"], usage["total_credits_used"]) == (2, 1)
    assert "data" not in usage
    topup = api.post("/billing/topup", {"amount": 100, "redirect_url": "https://example.com/done"}).json()
    checkout = api.post("/billing/checkout", {"amount": 5, "success_url": "https://example.com/?ok=1"}).json()
    second, first = emulator.checkouts()
    assert topup == {"success": True, "payment_url": emulator.payment_url(first.id), "session_id": first.id}
    assert checkout == {"success": True, "checkout_url": emulator.payment_url(second.id), "id": second.id}
    assert [c["id"] for c in api.get("/billing/checkouts").json()["checkouts"]] == [second.id, first.id]
    emulator.pay(first.id)
    (invoice,) = api.get("/billing/invoices").json()["data"]
    assert "date" in invoice
    changed = api.post("/billing/auto_recharge", {"enabled": True, "threshold_credits": 100, "recharge_amount": 500})
    settings = {"enabled": True, "threshold_credits": 100, "recharge_amount": 500}
    assert changed.json() == {"success": True, "settings": settings}
    assert api.get("/billing/auto_recharge").json() == {"success": True, **settings}


@pytest.mark.parametrize("dialect", ["openapi", "sample"])
def test_requests_of_both_dialects_are_understood(emulator, api, speak, dialect):
    speak(dialect)
    api.post("/billing/auto_recharge", {"enabled": True, "threshold": 1, "amount": 2})
    assert (emulator.auto_recharge.threshold, emulator.auto_recharge.amount) == (1, 2)
    api.post("/billing/auto_recharge", {"threshold_credits": 3, "recharge_amount": 4})
    assert (emulator.auto_recharge.threshold, emulator.auto_recharge.amount) == (3, 4)
    both = {"enabled": False, "threshold": 5, "threshold_credits": 5.0, "amount": 6, "recharge_amount": 6}
    assert api.post("/billing/auto_recharge", both).status_code == 200
    assert (emulator.auto_recharge.enabled, emulator.auto_recharge.threshold) == (False, 5)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("dialect", ["openapi", "sample"])
def test_wrong_or_missing_key_is_401_and_changes_nothing(emulator, api, *, method, path, dialect):
    emulator.change_settings(dialect=dialect)
    body = {"amount": 50, "enabled": True, "threshold": 1}
    assert_refused(api(method, path, json=body, headers={"x-access-token": "sk-wrong"}), 401, "unauthorized")
    assert_refused(api(method, path, json=body, headers={"x-access-token": None}), 401, "unauthorized")
    assert_refused(api(method, path, json=body, headers={"x-access-token": "sk-\xe9"}), 401, "unauthorized")
    assert emulator.checkouts() == []
    assert not emulator.auto_recharge.enabled


BAD_TOPUPS = [
    {},
    {"amount": 0},
    {"amount": -5},
    {"amount": 10.5},
    {"amount": "50"},
    {"amount": True},
    {"amount": None},
    {"amount": [50]},
    {"amount": 10**7},
    {"amount": 50, "currency": "dollars"},
    {"amount": 50, "currency": 7},
    {"amount": 50, "redirect_url": "javascript:alert(1)"},
    {"amount": 50, "redirect_url": "//example.com"},
    {"amount": 50, "redirect_url": "https://example.com/\r\nSet-Cookie: a=b"},
    {"amount": 50, "redirect_url": 5},
]
BAD_CHECKOUTS = [
    {},
    {"mode": "gift", "amount": 5},
    {"mode": "subscription"},
    {"mode": "subscription", "plan_id": ""},
    {"mode": "payment", "plan_id": "pro"},
    {"amount": 5, "success_url": "ftp://example.com"},
    {"amount": 5, "cancel_url": "data:text/html,hi"},
]
BAD_RECHARGES = [
    {},
    {"enabled": "yes"},
    {"enabled": 1},
    {"enabled": True},
    {"enabled": True, "threshold": 5},
    {"threshold": -1},
    {"threshold": 0},
    {"amount": "5"},
    {"threshold": 5, "threshold_credits": 6},
]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/billing/topup", body) for body in BAD_TOPUPS]
    + [("/billing/checkout", body) for body in BAD_CHECKOUTS]
    + [("/billing/auto_recharge", body) for body in BAD_RECHARGES],
)
def test_bad_input_is_400_and_changes_nothing(emulator, api, path, body):
    assert_refused(api.post(path, body), 400, "invalid_request")
    assert emulator.checkouts() == []
    assert emulator.auto_recharge.amount == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"[50]",
        b"50",
        b"null",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1e400}',
        b'{"amount": 1e9999999999999999999}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b'{"amount": 50, "x": "\xff"}',
        b'{"amount": ' + b"[" * 100_000,
        b'{"amount": 50, "x": "' + b"y" * 1_000_000 + b'"}',
    ],
    ids=lambda body: body[:30],
)
def test_body_must_be_a_json_object_of_limited_size(emulator, api, body):
    assert_refused(api("POST", "/billing/topup", data=body), 400, "invalid_request")
    assert emulator.checkouts() == []


def test_whole_dollars_may_be_a_float(emulator, api):
    assert api.post("/billing/topup", {"amount": 50.0}).status_code == 200
    assert emulator.checkouts()[0].amount == 50


@pytest.mark.parametrize("path", ["/billing/checkouts", "/billing/invoices"])
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=1.5", "limit=", "offset=-1", "limit=1_0", "limit=1&limit=2"],
)
def test_bad_paging_is_400(api, path, query):
    assert_refused(api.get(f"{path}?{query}"), 400, "invalid_request")


@pytest.mark.parametrize("path", ["/billing/checkouts", "/billing/invoices"])
def test_lists_are_paged(emulator, api, path):
    for _ in range(23):
        api.post("/billing/topup", {"amount": 1})
        emulator.pay(emulator.checkouts()[0].id)
    everything = [entry["id"] for entry in api.get(f"{path}?limit=100").json()["data"]]
    assert len(set(everything)) == 23
    assert [entry["id"] for entry in api.get(path).json()["data"]] == everything[:20]
    assert [entry["id"] for entry in api.get(f"{path}?limit=10&offset=20").json()["data"]] == everything[20:]
    assert api.get(f"{path}?offset=500").json()["data"] == []


def test_idempotency_key_returns_the_same_link(emulator, api):
    emulator.change_settings(idempotency="honour")
    key = {"headers": {"Idempotency-Key": "dag/run/task/0"}}
    first = api.post("/billing/topup", {"amount": 50}, **key).json()
    assert api.post("/billing/topup", {"amount": 50}, **key).json() == first
    assert_refused(api.post("/billing/topup", {"amount": 51}, **key), 400, "idempotency_conflict")
    assert_refused(api.post("/billing/checkout", {"amount": 50}, **key), 400, "idempotency_conflict")
    assert len(emulator.checkouts()) == 1
    too_long = {"headers": {"Idempotency-Key": "k" * 256}}
    assert_refused(api.post("/billing/topup", {"amount": 50}, **too_long), 400, "invalid_request")


def test_amounts_are_json_numbers_without_rounding(emulator, api):
    emulator.set_balance("100.1")
    assert '"credit_balance":100.1,' in api.get("/billing/usage").text
    emulator.set_balance(100)
    assert '"credit_balance":100,' in api.get("/billing/usage").text
