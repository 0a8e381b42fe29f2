"""A server with a list of checkouts that it pages as it likes."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.raw_server import raw_response


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
        return raw_response({"success": True, "data": ordered[offset:][: min(limit, self.cap)]})


class IgnoresOffset(Ledger):
    def window(self, request):
        return int(request.query["limit"]), 0


class IgnoresLimit(Ledger):
    def window(self, request):
        return 1_000_000, int(request.query["offset"])


def ids(numbers):
    return [f"cs_{number}" for number in numbers]


def nameless(number, **fields):
    return entry(number) | {"id": None} | fields
