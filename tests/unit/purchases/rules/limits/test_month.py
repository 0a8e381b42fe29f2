"""What counts towards the monthly limit, and in which month."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pendulum
import pytest

from tests.support.limit_checks import FIRST_MINUTE, NOW, TODAY, check, checkout, refusal, unreadable


def counted(entry, now=NOW):
    """Return the dollars that an entry adds to the month."""
    check(1, [entry], now, monthly_topup_limit=Decimal(1000))
    text = refusal(1, [entry], now, monthly_topup_limit=Decimal(0))
    already = re.search(r"([0-9.]+) USD in 1 checkout count already", text)
    return Decimal(already[1]) if already else 0


class TestMonth:
    @pytest.mark.parametrize(
        ("status", "created_at", "dollars"),
        [
            ("completed", "2024-02-01T00:00:00Z", 7),
            ("completed", "2024-01-31T23:59:59Z", 0),
            ("completed", "2023-02-15T00:00:00Z", 0),
            ("completed", "2024-02-01T00:30:00+01:00", 0),
            ("completed", "2024-01-31T23:30:00-01:00", 7),
            ("completed", "2024-02-29T23:59:59.999999Z", 7),
            ("completed", "2024-03-01T00:00:00Z", 0),
            ("completed", "9999-12-31T23:59:59Z", 0),
            ("completed", "0001-01-01T00:00:00Z", 0),
            # What VideoDB calls pending in its month can still be paid, however old it is.
            ("pending", "2024-02-02T00:00:00Z", 7),
            ("pending", TODAY, 7),
            ("processing", "2024-02-02T00:00:00Z", 7),
            ("a new word", TODAY, 7),
            ("pending", "2024-01-31T23:59:59Z", 0),
            ("pending", "9999-12-31T23:59:59Z", 7),
        ],
    )
    def test_paid_or_payable_counts_in_its_month_of_utc(self, status, created_at, dollars):
        assert counted(checkout(7, status, created_at)) == dollars

    @pytest.mark.parametrize(
        ("status", "dollars"), [("completed", 0), ("pending", 7), ("processing", 7), ("a new word", 7), ("expired", 7)]
    )
    def test_end_of_a_month_counts_in_the_next_while_payable(self, status, dollars):
        entry = checkout(7, status, "2024-01-31T23:59:59Z")
        assert counted(entry, FIRST_MINUTE) == dollars
        assert counted(entry, datetime(2024, 2, 1, 23, 59, 58, tzinfo=UTC)) == dollars
        assert counted(entry, datetime(2024, 2, 1, 23, 59, 59, tzinfo=UTC)) == 0

    @pytest.mark.parametrize(
        ("created_at", "dollars"),
        [
            ("2024-02-01T00:00:00Z", 0),
            ("2024-02-14T12:00:00Z", 0),
            # Called expired before its time: it may be pending again at the next read.
            ("2024-02-14T12:00:01Z", 7),
            (TODAY, 7),
            ("2024-02-15T12:05:00Z", 7),
        ],
    )
    def test_expired_checkout_does_not_count_once_it_is_old(self, created_at, dollars):
        assert counted(checkout(7, "expired", created_at)) == dollars

    @pytest.mark.parametrize("amount", [None, 0, -1, "-0.01", -1000])
    @pytest.mark.parametrize("currency", ["usd", "eur"])
    def test_entry_without_a_positive_amount_changes_nothing(self, amount, currency):
        entry = replace(checkout(1, currency=currency), amount=None if amount is None else Decimal(amount))
        check(50, [entry], monthly_topup_limit=Decimal(50))
        assert "60 USD this month" in refusal(50, [entry, checkout(10)], monthly_topup_limit=Decimal(59))
        assert "10 USD in 1 checkout count" in refusal(50, [entry, checkout(10)], monthly_topup_limit=Decimal(59))

    def test_dollars_add_up_exactly(self):
        three = [checkout("0.1"), checkout("0.2"), checkout("0.7", "completed")]
        check(49, three, monthly_topup_limit=Decimal(50))
        refusal(49, three, monthly_topup_limit=Decimal("49.99"))
        refusal(49, [*three, checkout("0.000001")], monthly_topup_limit=Decimal(50))

    @pytest.mark.parametrize("currency", ["usd", "USD", "Usd"])
    def test_spelling_of_usd_does_not_matter(self, currency):
        assert counted(checkout(7, currency=currency)) == 7

    @pytest.mark.parametrize(
        "entry",
        [
            unreadable("created_at", amount=7),
            unreadable("created_at", amount=7, status="completed"),
            unreadable("created_at", amount=7, status="expired"),
            unreadable("status", amount=7),
            replace(checkout(7, "expired"), unreadable=("status",)),
            replace(checkout(7, "expired", "2024-02-01"), unreadable=("status",)),
        ],
        ids=str,
    )
    def test_entry_without_date_or_state_counts(self, entry):
        assert counted(entry) == 7


class TestUnreadableEntries:
    @pytest.mark.parametrize(
        ("entry", "named"),
        [
            (
                unreadable("amount", checkout_id="cs_1"),
                "cs_1: an unreadable amount USD, pending, made 2024-02-15 11:00:00 UTC",
            ),
            (unreadable("amount", status="completed"), "an unreadable amount"),
            (unreadable("amount", status="expired"), "an unreadable amount"),
            (
                unreadable("currency", amount=20, checkout_id="cs_1"),
                "cs_1: 20 of an unknown currency, pending, made 2024",
            ),
            (replace(checkout(20), currency=None), "20 of an unknown currency"),
            (checkout(20, currency="eur", checkout_id="cs_1"), "cs_1: 20 EUR, pending, made 2024-02-15 11:00:00 UTC"),
            (checkout("0.5", currency="jpy", status="completed"), "0.5 JPY"),
            (checkout(20, currency="sk-not-a-currency"), "20 of an unknown currency"),
            (checkout(20, currency="us\x00"), "20 of an unknown currency"),
            (replace(unreadable("amount"), created_at=None), "made on an unreadable date"),
            (replace(checkout(20, currency="gbp"), id=None), "without an id: 20 GBP"),
        ],
        ids=str,
    )
    def test_entry_that_cannot_be_added_up_fails_the_month(self, entry, named):
        text = refusal(1, [entry], monthly_topup_limit=Decimal(1000), conn_id="videodb_default")
        assert named in text
        assert "may break monthly_topup_limit of connection videodb_default" in text
        assert "cannot be added up in USD" in text
        assert "The owner of the connection can add them up by hand" in text
        assert "sk-" not in text

    @pytest.mark.parametrize(
        "entry",
        [
            unreadable("amount", status="expired", created_at="2024-02-14T12:00:00Z"),
            checkout(20, "expired", "2024-02-14T12:00:00Z", currency="eur"),
            unreadable("amount", status="completed", created_at="2024-01-31T23:59:59Z"),
            checkout(20, "completed", "2024-01-31T23:59:59Z", currency="eur"),
            unreadable("amount", created_at="2024-01-31T23:59:59Z"),
        ],
        ids=str,
    )
    def test_entry_that_cannot_be_added_up_counts_in_its_month_only(self, entry):
        check(50, [entry], monthly_topup_limit=Decimal(50))

    def test_entry_that_cannot_be_added_up_breaks_no_other_limit(self):
        check(50, [unreadable("amount"), checkout(currency="eur")], max_topup_amount=Decimal(50), max_amount=50)

    def test_entry_that_cannot_be_added_up_hides_no_broken_limit(self):
        entries = [unreadable("amount"), checkout(20, currency="eur"), checkout(20)]
        assert "20 USD in 1 checkout count already" in refusal(50, entries, monthly_topup_limit=Decimal(60))

    @pytest.mark.parametrize(("count", "more"), [(5, None), (6, "\nand 1 more\n"), (1000, "\nand 995 more\n")])
    def test_entries_that_cannot_be_added_up_are_named_up_to_five(self, count, more):
        entries = [checkout(20, currency="eur", checkout_id=f"cs_{number}") for number in range(count)]
        text = refusal(1, entries, monthly_topup_limit=Decimal(1000))
        assert text.count("20 EUR") == 5
        assert "\nand " not in text if more is None else more in text


@pytest.fixture
def in_tokyo(monkeypatch):
    with pendulum.test_local_timezone(pendulum.timezone("Asia/Tokyo")), monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
class TestOtherTimeZone:
    def test_month_is_that_of_utc_wherever_the_worker_is(self):
        in_march_by_utc = datetime(2024, 2, 29, 20, tzinfo=timezone(timedelta(hours=-8)))
        february = [checkout(100, "completed", "2024-02-10T00:00:00Z")]
        check(50, february, now=in_march_by_utc, monthly_topup_limit=Decimal(50))

    @pytest.mark.parametrize(
        ("created_at", "dollars"), [("2024-02-29T22:00:00Z", 1), ("2024-01-31T22:00:00Z", 0), (TODAY, 1)]
    )
    def test_month_of_an_entry_is_that_of_utc(self, created_at, dollars):
        assert counted(checkout(1, "completed", created_at)) == dollars

    def test_refusal_names_the_month_of_utc(self):
        in_february_by_utc = datetime(2024, 3, 1, 8, tzinfo=timezone(timedelta(hours=9)))
        in_march_by_utc = datetime(2024, 2, 29, 20, tzinfo=timezone(timedelta(hours=-8)))
        for now, month in ((in_february_by_utc, "2024-02"), (in_march_by_utc, "2024-03")):
            assert f"({month}, UTC)" in refusal(50, now=now, monthly_topup_limit=Decimal(49))
