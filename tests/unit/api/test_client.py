"""What the client makes of answers: both dialects, lists of any behaviour, settings that are read back."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_videodb.api import envelope
from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import IdSource, by_id
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBNotSentError,
    VideoDBResponseError,
    VideoDBServerError,
    VideoDBSettingsNotAppliedError,
)
from tests.conftest import API_KEY
from tests.support.raw_server import RawServer, answer


def client_of(server, **options):
    return BillingClient(API_KEY, base_url=server.url, max_retries=0, **options)


def entry(number, status="pending"):
    """Return entry `number` of a list, made in the minute of that number."""
    created_at = datetime.fromtimestamp(number * 60, UTC).isoformat()
    return {"id": f"cs_{number}", "amount": number, "currency": "usd", "status": status, "created_at": created_at}


class Ledger:
    """A list of checkouts on a server that pages as it likes; `before_page` may change it between two pages."""

    def __init__(self, entries, *, cap=10_000, newest_first=True, before_page=None):
        self.entries = list(entries)
        self.cap = cap
        self.newest_first = newest_first
        self.before_page = before_page or (lambda _: None)
        self.pages_read = 0

    def add(self, number):
        self.entries.append(entry(number))

    def window(self, request):
        return int(request.query["limit"]), int(request.query["offset"])

    def __call__(self, request):
        self.before_page(self)
        self.pages_read += 1
        limit, offset = self.window(request)
        ordered = self.entries[::-1] if self.newest_first else self.entries
        return answer({"success": True, "data": ordered[offset:][: min(limit, self.cap)]})


class IgnoresOffset(Ledger):
    def window(self, request):
        return int(request.query["limit"]), 0


class IgnoresLimit(Ledger):
    def window(self, request):
        return 1_000_000, int(request.query["offset"])


def ids(numbers):
    return [f"cs_{number}" for number in numbers]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(
    ("count", "cap"),
    [
        *((count, cap) for count in (0, 1, 19, 20, 21, 99, 100, 101, 250) for cap in (10_000, 100, 20)),
        *((count, 1) for count in (0, 1, 20)),
    ],
)
def test_a_list_is_read_whole_and_newest_first(count, cap, newest_first):
    with RawServer(Ledger(map(entry, range(count)), cap=cap, newest_first=newest_first)) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.id for checkout in checkouts] == ids(reversed(range(count)))


@pytest.mark.parametrize("kind", [IgnoresOffset, IgnoresLimit])
@pytest.mark.parametrize("count", [1, 20, 100])
def test_a_server_without_paging_is_read_whole(kind, count):
    with RawServer(kind(map(entry, range(count)))) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.id for checkout in checkouts] == ids(reversed(range(count)))


def test_a_server_without_a_limit_may_answer_with_more_than_a_page():
    with RawServer(IgnoresLimit(map(entry, range(350)))) as server:
        assert len(client_of(server).list_checkouts()) == 350


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [20, 5, 1])
def test_nothing_is_lost_or_doubled_when_the_list_grows_while_it_is_read(cap, newest_first):
    numbers = itertools.count(15)

    def grow(ledger):
        if ledger.pages_read and ledger.pages_read % 2 == 1 and len(ledger.entries) < 25:
            ledger.add(next(numbers))

    with RawServer(Ledger(map(entry, range(15)), cap=cap, newest_first=newest_first, before_page=grow)) as server:
        found = [checkout.id for checkout in client_of(server).list_checkouts()]
    assert len(found) == len(set(found))
    assert set(found) >= set(ids(range(15)))


def test_an_entry_that_is_seen_twice_is_kept_as_it_was_seen_last():
    def pay_and_grow(ledger):
        if ledger.pages_read == 1:
            ledger.entries[0] = entry(0, status="completed")
            ledger.add(1)

    with RawServer(Ledger([entry(0)], before_page=pay_and_grow)) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.status for checkout in checkouts if checkout.id == "cs_0"] == ["completed"]


def test_a_list_without_end_is_an_error_and_not_an_endless_wait(monkeypatch):
    monkeypatch.setattr(envelope, "_MAX_PAGES", 12)
    numbers = itertools.count()
    with (
        RawServer(lambda _: answer({"data": [entry(next(numbers))]})) as server,
        pytest.raises(VideoDBResponseError, match="still shows new entries after 12 pages"),
    ):
        client_of(server).list_checkouts()
    assert len(server.requests) == 12


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [4]), (3, [4, 3, 2]), (50, [4, 3, 2, 1, 0]), (None, [4, 3, 2, 1, 0])]
)
def test_a_limit_takes_the_newest_whatever_the_order_of_the_list(limit, expected):
    with RawServer(Ledger(map(entry, range(5)), newest_first=False)) as server:
        checkouts = client_of(server).list_checkouts(limit)
    assert [checkout.id for checkout in checkouts] == ids(expected)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
@pytest.mark.parametrize("call", [BillingClient.list_checkouts, BillingClient.list_invoices])
def test_a_limit_that_is_none_is_refused_before_anything_is_sent(call, limit):
    with RawServer(answer({"data": []})) as server, pytest.raises(VideoDBConfigError, match="limit is"):
        call(client_of(server), limit)
    assert server.requests == []


@pytest.mark.parametrize("count", [0, 1, 7, 20, 99])
def test_polling_takes_one_call_once_the_end_of_the_list_is_known(count):
    ledger = Ledger(map(entry, range(count)), cap=20 if count < 20 else 10_000)
    with RawServer(ledger) as server:
        client = client_of(server)
        first = client.poll_checkouts()
        calls = len(server.requests)
        for _ in range(3):
            assert client.poll_checkouts() == first
    assert [checkout.id for checkout in first] == ids(reversed(range(count)))
    assert len(server.requests) == calls + 3


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [2, 20, 100, 10_000])
def test_polling_never_misses_a_checkout_however_the_server_pages(cap, newest_first):
    ledger = Ledger([], cap=cap, newest_first=newest_first)
    with RawServer(ledger) as server:
        client = client_of(server)
        for number in range(24):
            ledger.add(number)
            # Twice, since the second look may trust what the first one found out.
            for _ in range(2):
                assert [checkout.id for checkout in client.poll_checkouts()] == ids(reversed(range(number + 1)))


@pytest.mark.parametrize("final", ["completed", "expired"])
def test_polling_a_long_list_takes_one_call_while_nothing_beyond_its_first_page_can_change(final):
    ledger = Ledger([entry(number, status=final) for number in range(350)])
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        calls = len(server.requests)
        ledger.entries[349] = entry(349, status="completed")
        polled = client.poll_checkouts()
        assert len(server.requests) == calls + 1
    assert [checkout.id for checkout in polled] == ids(reversed(range(350)))
    assert polled[0].status == "completed"


def test_polling_a_long_list_sees_the_payment_of_an_old_checkout():
    ledger = Ledger([entry(number, status="pending" if number == 5 else "expired") for number in range(350)])
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.entries[5] = entry(5, status="completed")
        assert {checkout.id: checkout.status for checkout in client.poll_checkouts()}["cs_5"] == "completed"


def test_polling_sees_a_payment_at_the_first_look():
    ledger = Ledger(map(entry, range(3)))
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.entries[1] = entry(1, status="completed")
        assert [checkout.status for checkout in client.poll_checkouts()] == ["pending", "completed", "pending"]


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": [entry(1)]},
        {"success": True, "checkouts": [entry(1)]},
        {"success": True, "data": {"checkouts": [entry(1)]}},
        {"success": True, "data": None, "checkouts": [entry(1)]},
        {"checkouts": [entry(1)]},
    ],
)
def test_a_list_is_found_in_every_mixture_of_the_dialects(body):
    with RawServer(answer(body)) as server:
        assert [checkout.id for checkout in client_of(server).list_checkouts()] == ["cs_1"]


@pytest.mark.parametrize(
    "body",
    [
        {"success": True},
        {"success": True, "data": None},
        {"success": True, "data": {}},
        {"success": True, "data": "none"},
        {"success": True, "data": {"cs_1": entry(1)}},
        {"success": True, "checkouts": {}},
    ],
)
def test_a_list_that_is_none_is_refused_and_never_taken_for_empty(body):
    with RawServer(answer(body)) as server, pytest.raises(VideoDBResponseError, match=r"\bdata\b"):
        client_of(server).list_checkouts()


FOREIGN_ENTRIES = [
    b"null",
    b'"cs_2"',
    b"[]",
    b"{}",
    b'{"id": "cs_2", "amount": null, "currency": null, "status": null, "created_at": null}',
    b'{"id": null, "amount": 5, "currency": "usd", "status": "pending", "created_at": "2024-01-15"}',
    b'{"id": 17, "amount": "lots", "currency": 7, "status": {}, "created_at": "soon"}',
    b'{"id": "cs_2", "amount": NaN, "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "cs_2", "amount": -Infinity, "currency": "usd", "status": "pending", "created_at": 1e400}',
    b'{"id": "cs_2", "amount": 1e99999999999999999999, "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "cs_2", "amount": 1e1000000, "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "cs_2", "amount": ' + b"9" * 5000 + b', "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "\\ud800", "amount": 5, "currency": "\\u0000", "status": "\\udfff", "created_at": "\\u001b"}',
]


@pytest.mark.parametrize("foreign", FOREIGN_ENTRIES, ids=lambda entry: entry.decode()[:40])
@pytest.mark.parametrize("look", [BillingClient.list_checkouts, BillingClient.poll_checkouts])
def test_one_foreign_entry_does_not_hide_the_others(look, foreign):
    own = json.dumps(entry(1, status="completed")).encode()
    with RawServer(answer(b'{"success": true, "data": [' + foreign + b", " + own + b"]}")) as server:
        checkouts = look(client_of(server))
    assert len(checkouts) == 2
    assert by_id(checkouts)["cs_1"].status == "completed"
    assert by_id(checkouts)["cs_1"].unreadable == ()


def nameless(number, **fields):
    return entry(number) | {"id": None} | fields


@pytest.mark.parametrize("kind", [Ledger, IgnoresOffset, IgnoresLimit])
@pytest.mark.parametrize("cap", [1, 2, 3, 10_000])
@pytest.mark.parametrize("newest_first", [True, False])
def test_entries_without_an_id_are_neither_merged_nor_doubled(kind, cap, newest_first):
    entries = [entry(0), nameless(1), nameless(2), nameless(3, id=17), nameless(3, id=18), entry(4)]
    # A server that ignores the offset shows no more than its first page.
    cap = 10_000 if kind is IgnoresOffset else cap
    with RawServer(kind(entries, cap=cap, newest_first=newest_first)) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.amount for checkout in checkouts] == [4, 3, 3, 2, 1, 0]


@pytest.mark.parametrize("kind", [Ledger, IgnoresOffset])
def test_entries_that_say_the_same_without_an_id_are_as_many_as_a_page_shows(kind):
    with RawServer(kind([nameless(1), nameless(1), entry(2), {}, {}])) as server:
        checkouts = client_of(server).list_checkouts()
    assert len(checkouts) == 5


def test_entry_without_an_id_is_not_doubled_when_the_list_grows_while_it_is_read():
    def grow(ledger):
        if ledger.pages_read == 1:
            ledger.add(50)

    with RawServer(Ledger([*map(entry, range(5)), nameless(7)], cap=3, before_page=grow)) as server:
        checkouts = client_of(server).list_checkouts()
    assert sum(checkout.id is None for checkout in checkouts) == 1
    assert {checkout.id for checkout in checkouts} >= set(ids(range(5)))


def test_entries_without_a_date_come_last():
    undated = entry(9) | {"created_at": None}
    with RawServer(Ledger([entry(1), undated, entry(2)])) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.id for checkout in checkouts] == ids([2, 1, 9])


def test_polling_takes_one_call_beside_entries_that_cannot_be_read():
    ledger = Ledger([entry(0), {}, nameless(1), entry(2) | {"created_at": "?"}, entry(3)])
    with RawServer(ledger) as server:
        client = client_of(server)
        first = client.poll_checkouts()
        calls = len(server.requests)
        assert client.poll_checkouts() == first
        assert len(server.requests) == calls + 1


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [1, 2, 100])
def test_polling_never_misses_a_change_beside_entries_that_cannot_be_read(cap, newest_first):
    ledger = Ledger([{}, nameless(0, status="expired"), {"id": 17}], cap=cap, newest_first=newest_first)
    with RawServer(ledger) as server:
        client = client_of(server)
        for number in range(1, 8):
            ledger.entries.append(entry(number) if number % 2 else nameless(number))
            for _ in range(2):
                assert len(client.poll_checkouts()) == len(ledger.entries)
        ledger.entries[1] = nameless(0, status="completed")
        assert [c.status for c in client.poll_checkouts() if c.amount == 0] == ["completed"]


def test_polling_trusts_no_order_that_no_date_shows():
    undated = [entry(number, status="expired") | {"created_at": None} for number in range(5)]
    ledger = Ledger(undated, cap=2, newest_first=False)
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.add(5)
        assert "cs_5" in by_id(client.poll_checkouts())


@pytest.mark.parametrize("item", [b"null", b'"in_1"', b"17", b"{}", b'{"id": "in_1", "amount": NaN, "date": 0}'])
def test_invoice_that_cannot_be_read_is_refused(item):
    with RawServer(answer(b'{"data": [' + item + b"]}")) as server, pytest.raises(VideoDBResponseError):
        client_of(server).list_invoices()


@pytest.mark.parametrize("figure", [b"NaN", b"Infinity", b"1e99999999999999999999", b"1e1000000", b"9" * 5000])
def test_balance_that_cannot_be_read_is_refused_by_its_name(figure):
    body = b'{"data": {"credit_balance": %b, "usage_this_month": 1}}' % figure
    with RawServer(answer(body)) as server, pytest.raises(VideoDBResponseError, match="credit_balance"):
        client_of(server).get_usage()


@pytest.mark.parametrize(
    "usage",
    [
        {"data": {"credit_balance": 3, "usage_this_month": 1}},
        {"credits_remaining": 3, "total_credits_used": 1},
        {"data": {"credits_remaining": "3", "total_credits_used": "1"}},
        {"data": None, "credit_balance": 3, "usage_this_month": 1},
    ],
)
def test_usage_is_found_in_every_mixture_of_the_dialects(usage):
    with RawServer(answer({"success": True} | usage)) as server:
        found = client_of(server).get_usage()
    assert (found.credit_balance, found.usage_this_month) == (3, 1)


@pytest.mark.parametrize("data", [[], [1], "x", 7, True])
def test_data_that_is_no_object_is_refused(data):
    with (
        RawServer(answer({"success": True, "data": data, "credit_balance": 3, "usage_this_month": 1})) as server,
        pytest.raises(VideoDBResponseError, match="data is"),
    ):
        client_of(server).get_usage()


def test_a_balance_is_read_digit_by_digit():
    with RawServer(answer(b'{"data": {"credit_balance": 0.12345678901234567890, "usage_this_month": 1}}')) as server:
        assert client_of(server).get_usage().credit_balance == Decimal("0.12345678901234567890")


def test_an_unreadable_field_is_an_error_that_names_call_status_and_request_id():
    with (
        RawServer(answer({"success": True, "data": {"credit_balance": "lots"}}, X_Request_Id="req-1")) as server,
        pytest.raises(VideoDBResponseError) as caught,
    ):
        client_of(server).get_usage()
    assert f"GET {server.url}/billing/usage" in str(caught.value)
    assert "credit_balance / credits_remaining is 'lots', expected a number" in str(caught.value)
    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


@pytest.mark.parametrize(
    ("body", "checkout_id", "source"),
    [
        ({"data": {"url": "https://pay.example/xxx"}}, None, None),
        ({"data": {"url": "https://pay.example/cs_test_1"}}, "cs_test_1", IdSource.URL),
        ({"payment_url": "https://pay.example/x", "session_id": "cs_2"}, "cs_2", IdSource.ANSWER),
        ({"checkout_url": "https://pay.example/x", "id": "cs_3"}, "cs_3", IdSource.ANSWER),
        ({"data": {"payment_url": "https://pay.example/x", "session_id": "cs_4"}}, "cs_4", IdSource.ANSWER),
    ],
)
def test_a_new_checkout_is_read_in_every_mixture_of_the_dialects(body, checkout_id, source):
    with RawServer(answer({"success": True} | body)) as server:
        checkout = client_of(server).topup(50, currency="usd")
    assert (checkout.id, checkout.id_source) == (checkout_id, source)
    assert checkout.url.startswith("https://pay.example/")
    assert (checkout.amount, checkout.currency, checkout.status) == (50, "usd", "pending")


LINK = answer({"success": True, "data": {"url": "https://pay.example/cs_1"}})


@pytest.mark.parametrize(
    ("call", "path", "payload"),
    [
        (lambda client: client.topup(5), "/billing/topup", {"amount": 5}),
        (
            lambda client: client.topup(5, currency="eur", redirect_url="https://x.example"),
            "/billing/topup",
            {"amount": 5, "currency": "eur", "redirect_url": "https://x.example"},
        ),
        (lambda client: client.create_checkout(5), "/billing/checkout", {"mode": "payment", "amount": 5}),
        (
            lambda client: client.create_checkout(
                mode="subscription", plan_id="p", success_url="https://x.example/s", cancel_url="https://x.example/c"
            ),
            "/billing/checkout",
            {
                "mode": "subscription",
                "plan_id": "p",
                "success_url": "https://x.example/s",
                "cancel_url": "https://x.example/c",
            },
        ),
    ],
)
def test_a_purchase_sends_what_is_given_and_nothing_else(call, path, payload):
    with RawServer(LINK) as server:
        call(client_of(server))
    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", path, {})
    assert request.json == payload


@pytest.mark.parametrize("purchase", [BillingClient.topup, BillingClient.create_checkout])
@pytest.mark.parametrize("amount", [None, 0, -5, 1.5, 5.0, True, "5", Decimal(5)])
def test_an_amount_that_is_no_whole_number_of_dollars_is_never_sent(purchase, amount):
    with RawServer(LINK) as server, pytest.raises(VideoDBConfigError, match=r"amount is .* whole number of US dollars"):
        purchase(client_of(server), amount)
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"mode": "gift", "amount": 5}, "mode"),
        ({"mode": "subscription"}, "plan_id"),
        ({"mode": "subscription", "plan_id": ""}, "plan_id"),
        ({"mode": "subscription", "plan_id": "p", "amount": 0}, "amount"),
    ],
)
def test_a_checkout_that_is_neither_payment_nor_subscription_is_never_sent(arguments, named):
    with RawServer(LINK) as server, pytest.raises(VideoDBConfigError, match=named):
        client_of(server).create_checkout(**arguments)
    assert server.requests == []


@pytest.mark.parametrize("purchase", [BillingClient.topup, BillingClient.create_checkout])
def test_every_purchase_carries_a_key_of_its_own_unless_one_is_given(purchase):
    with RawServer(LINK) as server:
        for key in (None, None, "mine", "mine"):
            purchase(client_of(server), 5, idempotency_key=key)
    first, second, *given = (request.headers["idempotency-key"] for request in server.requests)
    assert first != second
    assert given == ["mine", "mine"]


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "\u00fcber", "x\u2028y"])
def test_a_key_that_cannot_be_a_header_is_never_sent(key):
    with RawServer(LINK) as server, pytest.raises(VideoDBConfigError, match="idempotency_key"):
        client_of(server).topup(5, idempotency_key=key)
    assert server.requests == []


class Settings:
    """Auto-recharge on a server that may or may not do what it is told."""

    def __init__(self, stored, *, sample=False, obeys=True, write=None):
        self.stored = stored
        self.names = ("threshold_credits", "recharge_amount") if sample else ("threshold", "amount")
        self.sample = sample
        self.obeys = obeys
        self.write = answer({"success": True}) if write is None else write

    def __call__(self, request):
        if request.method == "POST":
            if self.obeys:
                wanted = {name: request.json[name] for name in ("enabled", *self.names) if name in request.json}
                self.stored = self.stored | wanted
            return self.write
        fields = {"enabled": self.stored["enabled"]} | {
            name: self.stored.get(name, self.stored.get(plain))
            for name, plain in zip(self.names, ("threshold", "amount"), strict=True)
        }
        return answer({"success": True, **fields} if self.sample else {"success": True, "data": fields})


STORED = {"enabled": False, "threshold": 10, "amount": 50}


@pytest.mark.parametrize("sample", [False, True])
def test_settings_are_written_in_both_dialects_and_read_back(sample):
    with RawServer(Settings(STORED, sample=sample)) as server:
        found = client_of(server).set_auto_recharge(enabled=True, threshold=Decimal("100.1"), amount=Decimal(500))
    assert (found.enabled, found.threshold, found.amount) == (True, Decimal("100.1"), 500)
    assert [request.method for request in server.requests] == ["POST", "GET"]
    assert server.requests[0].json == {
        "enabled": True,
        "threshold": 100.1,
        "threshold_credits": 100.1,
        "amount": 500,
        "recharge_amount": 500,
    }


def test_disabling_sends_no_figures_so_that_they_stay():
    with RawServer(Settings(STORED | {"enabled": True})) as server:
        found = client_of(server).set_auto_recharge(enabled=False)
    assert server.requests[0].json == {"enabled": False}
    assert (found.enabled, found.threshold, found.amount) == (False, 10, 50)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"enabled": True}, "enabled"),
        ({"enabled": False, "threshold": Decimal(11)}, "threshold"),
        ({"enabled": False, "amount": Decimal(51)}, "amount"),
    ],
)
def test_settings_that_did_not_take_effect_are_an_error_whatever_the_answer_said(arguments, named):
    with (
        RawServer(Settings(STORED, obeys=False)) as server,
        pytest.raises(VideoDBSettingsNotAppliedError, match=f": {named} did not take effect"),
    ):
        client_of(server).set_auto_recharge(**arguments)


@pytest.mark.parametrize(
    "lost",
    [
        b"",
        answer(b"", 500),
        answer(b"<html>"),
        answer(b"<html>", 403),
        answer(b"", 302),
        answer(b"", 204),
        answer(b"", 408),
    ],
)
@pytest.mark.parametrize("obeys", [True, False])
def test_a_lost_answer_is_settled_by_reading_the_settings_back(lost, obeys):
    settings = Settings(STORED, obeys=obeys, write=lost)
    # Hanging up is what a client meets instead of an empty answer.
    with RawServer(settings, hang_up=not lost) as server:
        client = client_of(server)
        if obeys:
            assert client.set_auto_recharge(enabled=True).enabled is True
        else:
            with pytest.raises(VideoDBSettingsNotAppliedError):
                client.set_auto_recharge(enabled=True)
    assert [request.method for request in server.requests] == ["POST", "GET"]


def test_a_refused_write_is_not_read_back():
    with RawServer(answer({"success": False}, 401)) as server, pytest.raises(VideoDBAuthenticationError):
        client_of(server).set_auto_recharge(enabled=True)
    assert len(server.requests) == 1


def test_a_write_that_was_never_sent_is_not_read_back():
    with RawServer() as server:
        client = client_of(server)
    with pytest.raises(VideoDBNotSentError, match="POST"):
        client.set_auto_recharge(enabled=True)


def test_settings_that_cannot_be_read_back_are_an_error():
    with (
        RawServer(answer({"success": True}), answer(b"", 500)) as server,
        pytest.raises(VideoDBServerError, match="GET"),
    ):
        client_of(server).set_auto_recharge(enabled=True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"enabled": True, "threshold": Decimal(-1)}, "threshold"),
        ({"enabled": True, "threshold": Decimal("NaN")}, "threshold"),
        ({"enabled": True, "amount": Decimal("Infinity")}, "amount"),
    ],
)
def test_settings_that_are_none_are_never_sent(arguments, named):
    with RawServer(answer({"success": True})) as server, pytest.raises(VideoDBConfigError, match=named):
        client_of(server).set_auto_recharge(**arguments)
    assert server.requests == []


def test_production_is_the_default():
    assert BillingClient(API_KEY).base_url == "https://api.videodb.io"


def test_request_is_not_written_if_the_last_check_refuses(emulator):
    """The check comes when the connection stands, so that nothing but the write itself comes after it."""
    checked = []

    def refuse():
        checked.append(len(emulator.calls()))
        raise VideoDBNotSentError("too old")

    client = BillingClient(emulator.api_key, base_url=emulator.base_url)
    with pytest.raises(VideoDBNotSentError, match="too old"):
        client.topup(5, before_send=refuse)

    assert checked == [0]
    assert emulator.calls() == emulator.checkouts() == []


def test_last_check_is_made_once_for_each_request_that_is_written(emulator):
    checked = []
    client = BillingClient(emulator.api_key, base_url=emulator.base_url)
    client.topup(5, before_send=lambda: checked.append(1))
    client.topup(5)

    assert (checked, len(emulator.checkouts())) == ([1], 2)


def test_last_check_is_not_made_where_nobody_can_be_reached():
    checked = []
    with Emulator() as gone:
        client = BillingClient(gone.api_key, base_url=gone.base_url)
    with pytest.raises(VideoDBNotSentError):
        client.topup(5, before_send=lambda: checked.append(1))

    assert checked == []


@pytest.mark.parametrize(("hours", "seen"), [(1, "completed"), (23, "completed"), (24.1, "completed"), (25, "expired")])
def test_polling_reads_a_young_expired_checkout_again(hours, seen):
    """One read does not prove that a checkout has expired, as long as it is younger than one becomes."""
    made_at = datetime.now(UTC) - timedelta(hours=hours)
    young = entry(0, status="expired") | {"created_at": made_at.isoformat()}
    newest = datetime.now(UTC).isoformat()
    ledger = Ledger(
        [young, *(entry(number) | {"status": "completed", "created_at": newest} for number in range(1, 350))]
    )
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.entries[0] = young | {"status": "completed"}
        assert {checkout.id: checkout.status for checkout in client.poll_checkouts()}["cs_0"] == seen
