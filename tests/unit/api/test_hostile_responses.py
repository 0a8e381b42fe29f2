"""
Any response gives a right value or one typed error, in every call and both dialects.

`make fuzz` runs many more examples.
"""

from __future__ import annotations

import os
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_videodb.api.models import Usage
from airflow_provider_videodb.exceptions import VideoDBAPIError, VideoDBSettingsNotAppliedError
from tests.support.canned import client_with_response, outcome_of
from tests.support.hostile import (
    CALLS,
    DIALECTS,
    JUNK,
    KEY,
    each_broken,
    example_of,
    figures_in,
    hostile,
    spelt,
)

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "50"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
each_call = pytest.mark.parametrize("name", CALLS)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
LISTS = ("list_checkouts", "poll_checkouts", "list_invoices")
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 301, 307, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503])
HEADER_VALUES = st.sampled_from(
    [KEY, KEY[:14], "gzip", "identity", "br", "1.5", "-1", "1e400", "nan", "Mon, 99 Jan 99999 99:99:99 +9999", "a\x85b",
     "application/json; charset=utf-7", "text/html", "https://elsewhere.example/", "k=v; Expires=x; Domain=.", ""]
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Content-Encoding", "Retry-After", "Date", "Location", "X-Request-Id", "Set-Cookie", "Link"]
    ),
    HEADER_VALUES,
    max_size=4,
)


@each_call
@each_dialect
@many
@given(data=st.data())
def test_right_response_is_read(name, dialect, data):
    call, right = CALLS[name]
    sent = data.draw(right(dialect))
    found = outcome_of(call, client_with_response(spelt(sent).encode()))
    if name in LISTS:
        listed = sent.get("data", sent.get("checkouts", sent.get("invoices")))
        assert {(one.id, one.amount) for one in found} <= {(one["id"], Decimal(one["amount"])) for one in listed}
        assert {one.id for one in found} == {one["id"] for one in listed}
    elif name == "set_auto_recharge":
        assert isinstance(found, VideoDBSettingsNotAppliedError) or found.to_dict() == {
            "enabled": True,
            "threshold": 5,
            "amount": 10,
        }
    else:
        assert not isinstance(found, Exception)


@each_call
@each_dialect
def test_each_odd_value_at_each_place_gives_a_right_value_or_one_typed_error(name, dialect):
    call = CALLS[name][0]
    right = example_of(name, dialect)
    assert not isinstance(outcome_of(call, client_with_response(spelt(right).encode())), Exception)
    for sent in each_broken(right):
        outcome_of(call, client_with_response(spelt(sent).encode()))


@each_call
@each_dialect
@many
@given(data=st.data(), status=STATUSES, headers=HEADERS, ascii_only=st.booleans())
def test_broken_response_gives_a_right_value_or_one_typed_error(name, dialect, data, status, headers, ascii_only):
    call, right = CALLS[name]
    sent = data.draw(hostile(right(dialect)))
    body = spelt(sent, ascii_only=ascii_only).encode(errors="surrogatepass")
    found = outcome_of(call, client_with_response(body, status=status, headers=headers))
    if isinstance(found, Usage):
        # A figure is one that was sent, never a default.
        assert {found.credit_balance, found.usage_this_month, *found.breakdown.values()} <= figures_in(sent)
    if status >= 300:
        assert isinstance(found, VideoDBAPIError)


@each_call
@many
@given(data=st.data(), value=JUNK, encoding=st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-16-be", "utf-8-sig"]))
def test_any_json_gives_a_right_value_or_one_typed_error(name, data, value, encoding):
    outcome_of(CALLS[name][0], client_with_response(spelt(value).encode(encoding, errors="surrogatepass")))


@each_call
@many
@given(body=st.binary(max_size=200) | st.binary(max_size=40).map(lambda noise: b'{"data": ' + noise), headers=HEADERS)
def test_any_bytes_give_one_typed_error(name, body, headers):
    outcome_of(CALLS[name][0], client_with_response(body, headers=headers))
