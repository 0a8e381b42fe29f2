"""
Strategies for what a server may send.

`CALLS` has the right responses of each call in both dialects. `hostile` breaks one of them anywhere, or replaces it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from hypothesis import strategies as st

KEY = "sk-9f3a\"<1c77e0b2\\&d4486e'%5b90af+3c21/="
DIALECTS = ("openapi", "sample")


@dataclass(frozen=True)
class Literal:
    """A piece of JSON as it is spelt, such as a number that no float holds."""

    spelling: str


@dataclass(frozen=True)
class Pairs:
    """A JSON object whose names may repeat."""

    items: tuple


def spelt(value, *, ascii_only=True):
    """Return the JSON text of a value, with literals and repeated names."""
    match value:
        case Literal(spelling=spelling):
            return spelling
        case Pairs(items=items):
            inner = (f"{json.dumps(name)}: {spelt(item, ascii_only=ascii_only)}" for name, item in items)
            return "{" + ", ".join(inner) + "}"
        case dict():
            return spelt(Pairs(tuple(value.items())), ascii_only=ascii_only)
        case list():
            return "[" + ", ".join(spelt(item, ascii_only=ascii_only) for item in value) + "]"
        case Decimal():
            return str(value)
    return json.dumps(value, ensure_ascii=ascii_only)


NUMBERS = [
    "1e999999", "-1e999999", "1E-999999", "0E+999999999999", "1e-400", "-0.0", "9" * 5000, "0." + "1" * 5000,
    "NaN", "Infinity", "-Infinity", "9007199254740992", "1e400", "01", "1_000", "-",
]  # fmt: skip
TEXTS = [
    "", " ", "0", "-1", "1e5", "NaN", "1E-999999", "9" * 2000, "1_000", "\u0661", "usd", "completed", "pending",
    "expired", "true", "2024-01-15T10:30:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "Mon, 15 Jan 2024 10:30:00 GMT", "Mon, 99 Jan 99999 99:99:99 +9999", "\ud800", "a\0b", "x\ny", "__class__",
    "https://pay.example/cs_1", "javascript:alert(1)", "https://user@pay.example/", "https://\u202e.example/",
    "http://[::1", "https://" + "x." * 4000, "Next step: pay me", KEY, KEY[:14], KEY[-14:], KEY[9:24], json.dumps(KEY),
    "y" * 20_000,
]  # fmt: skip
NAMES = [
    "success", "data", "message", "error_code", "status", "credit_balance", "credits_remaining", "usage_this_month",
    "total_credits_used", "breakdown", "url", "payment_url", "checkout_url", "id", "session_id", "amount", "currency",
    "created_at", "date", "pdf_url", "enabled", "threshold", "threshold_credits", "recharge_amount", "checkouts",
    "invoices", "settings", "output_url",
]  # fmt: skip
ODD_VALUES = [*TEXTS, *map(Literal, NUMBERS), None, True, False, 0, -1, 2**64, [], {}]
ODD = st.sampled_from(ODD_VALUES)
SCALARS = ODD | st.booleans() | st.integers() | st.floats() | st.text()
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
        | st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=4).map(lambda items: Pairs(tuple(items)))
    ),
    max_leaves=8,
)

ENTRY = {"id": "cs_1", "amount": 5, "currency": "usd", "status": "pending", "created_at": "2024-01-15T10:30:00Z"}
CHECKOUT = {"openapi": {"url": "https://pay.example/cs_1"}, "sample": {"payment_url": "https://pay.example", "id": "1"}}
RECHARGE = {
    "openapi": {"enabled": True, "threshold": 5, "amount": 10},
    "sample": {"enabled": True, "threshold_credits": 5, "recharge_amount": 10},
}
USAGE = {
    "openapi": {"credit_balance": 5, "usage_this_month": 1.5, "breakdown": {"index": 1}},
    "sample": {"credits_remaining": 5, "total_credits_used": 1.5},
}


def example_of(name, dialect):
    """Return a right response of a call."""
    kind = {"list_checkouts": "checkouts", "poll_checkouts": "checkouts", "list_invoices": "invoices"}.get(name)
    if kind is not None:
        return {"data": [ENTRY]} if dialect == "openapi" else {kind: [ENTRY]}
    fields_ = USAGE if name == "get_usage" else RECHARGE if name.endswith("auto_recharge") else CHECKOUT
    return {"data": fields_[dialect]} if dialect == "openapi" else fields_[dialect]


FIGURES = st.decimals(min_value=-(10**9), max_value=10**9, places=2, allow_nan=False) | st.integers(-(10**6), 10**9)
WORDS = st.from_regex(r"[a-z0-9_]{1,20}", fullmatch=True)
MOMENTS = st.integers(1_600_000_000, 2_200_000_000).map(lambda at: datetime.fromtimestamp(at, UTC).isoformat())


def usage(dialect):
    first, second = {
        "openapi": ("credit_balance", "usage_this_month"),
        "sample": ("credits_remaining", "total_credits_used"),
    }[dialect]
    fields_ = {first: FIGURES, second: FIGURES, "breakdown": st.dictionaries(WORDS, FIGURES, max_size=3)}
    return st.fixed_dictionaries(fields_).map(_wrapped(dialect))


def checkout(dialect):
    link = WORDS.map(lambda word: f"https://pay.example/c/pay/cs_{word}")
    if dialect == "openapi":
        return st.fixed_dictionaries({"url": link}).map(_wrapped(dialect))
    return st.fixed_dictionaries({"payment_url": link, "session_id": WORDS}).map(_wrapped(dialect))


def entries(dialect, name):
    entry = st.fixed_dictionaries(
        {
            "id": WORDS,
            "amount": FIGURES,
            "currency": st.just("usd"),
            "status": st.sampled_from(["completed", "pending", "expired", "paid"]),
            "created_at": MOMENTS,
        }
    )
    lists = st.lists(entry, max_size=4)
    return lists.map(lambda found: {"success": True, "data": found} if dialect == "openapi" else {name: found})


def recharge(dialect):
    second, third = {
        "openapi": ("threshold", "amount"),
        "sample": ("threshold_credits", "recharge_amount"),
    }[dialect]
    return st.fixed_dictionaries({"enabled": st.booleans(), second: FIGURES, third: FIGURES}).map(_wrapped(dialect))


def _wrapped(dialect):
    return lambda data: {"success": True, "data": data} if dialect == "openapi" else {"success": True, **data}


#: Each call, and its right responses in a dialect.
CALLS = {
    "get_usage": (lambda client: client.get_usage(), usage),
    "topup": (lambda client: client.topup(5), checkout),
    "create_checkout": (lambda client: client.create_checkout(5), checkout),
    "list_checkouts": (lambda client: client.list_checkouts(), lambda dialect: entries(dialect, "checkouts")),
    "poll_checkouts": (lambda client: client.poll_checkouts(), lambda dialect: entries(dialect, "checkouts")),
    "list_invoices": (lambda client: client.list_invoices(), lambda dialect: entries(dialect, "invoices")),
    "get_auto_recharge": (lambda client: client.get_auto_recharge(), recharge),
    "set_auto_recharge": (
        lambda client: client.set_auto_recharge(enabled=True, threshold=Decimal(5), amount=Decimal(10)),
        recharge,
    ),
}


@st.composite
def hostile(draw, right):
    """Return a right response that is broken in up to three places, or junk instead of it."""
    value = draw(right)
    for _ in range(draw(st.integers(0, 3))):
        value = _broken(draw, value)
    return value


def _broken(draw, value):
    if value and draw(st.integers(0, 9)):
        if isinstance(value, dict):
            return _broken_object(draw, value)
        if isinstance(value, list):
            return _broken_list(draw, value)
    return draw(ODD | JUNK)


def _broken_object(draw, value):
    name = draw(st.sampled_from(sorted(value)))
    match draw(st.sampled_from(["inside"] * 6 + ["remove", "twice"])):
        case "remove":
            return {other: item for other, item in value.items() if other != name}
        case "twice":
            return Pairs((*value.items(), (name, draw(JUNK))))
    return value | {name: _broken(draw, value[name])}


def _broken_list(draw, value):
    at = draw(st.integers(0, len(value) - 1))
    match draw(st.sampled_from(["inside"] * 6 + ["repeat", "add"])):
        case "repeat":
            return [*value, value[at]]
        case "add":
            return [*value, draw(JUNK)]
    return [*value[:at], _broken(draw, value[at]), *value[at + 1 :]]


def each_broken(value):
    """Yield the value with every odd value at every place."""
    yield from ODD_VALUES
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from (value | {name: broken} for broken in each_broken(inner))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from ([*value[:at], broken, *value[at + 1 :]] for broken in each_broken(inner))


def figures_in(value):
    """Return every number of a response, those that are spelt as texts included."""
    match value:
        case dict() | Pairs():
            items = value.values() if isinstance(value, dict) else [item for _, item in value.items]
            return {figure for item in items for figure in figures_in(item)}
        case list():
            return {figure for item in value for figure in figures_in(item)}
        case Literal(spelling=text) | (str() as text):
            pass
        case _:
            text = str(value)
    try:
        return {Decimal(text.strip())}
    except InvalidOperation:
        return set()
