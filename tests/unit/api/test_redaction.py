"""The key is in no message, however a server echoes it and wherever it was cut."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.redaction import Redactor
from airflow_provider_videodb.exceptions import VideoDBAPIError
from tests.support.raw_server import RawServer, raw_response

#: VideoDB's keys have the form of the first. The others have characters that are escaped somewhere.
KEYS = [
    "sk-live-9f3Kq7Zt2mXw8RbV5nYc1LdP",
    "sk-\\back\\slash\\9f3Kq7Zt2mXw",
    "sk-'single'\"double\"-9f3Kq7Zt",
    "sk-/a+b=c%d&e?f#9f3Kq7Zt<mX>",
    "\\\\\\'\"'\"'\"\\\\9f3Kq7Zt2mXw8R",
]
SPELLINGS = {
    "plain": str,
    "repr": repr,
    "repr of repr": lambda key: repr(repr(key)),
    "repr with both quotes": lambda key: repr(f"'\"{key}"),
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "quote": quote,
    "quote all": lambda key: quote(key, safe=""),
    "quote plus": quote_plus,
    "quote in lower case": lambda key: quote(key, safe="").lower(),
    "upper case": str.upper,
    "HTML": html.escape,
    "hex": lambda key: key.encode().hex(),
    "base64": lambda key: b64encode(key.encode()).decode(),
    "base64 of basic auth": lambda key: b64encode(f"user:{key}".encode()).decode(),
    "base64 after one byte": lambda key: b64encode(f":{key}".encode()).decode(),
    "base64 after two bytes": lambda key: b64encode(f"k:{key}.".encode()).decode(),
    "base64 of a URL": lambda key: urlsafe_b64encode(key.encode()).decode(),
}


def bare(text):
    return text.replace("\\", "").lower()


def shown_run(text, secret):
    """Return the longest run of characters that a text and a secret have in common, escaped or not."""
    text, secret = bare(text), bare(secret)
    longest = ""
    for start in range(len(secret)):
        end = start + len(longest) + 1
        while end <= len(secret) and secret[start:end] in text:
            longest = secret[start:end]
            end += 1
    return longest


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("key", KEYS)
def test_secret_is_hidden_in_every_spelling(key, spell):
    spelt = spell(key)
    shown = Redactor(key, run=8)(f"the key <{spelt}> is not known")
    # In base64 the characters at both ends depend on the bytes around the key.
    assert len(shown_run(shown.removeprefix("the key <").removesuffix("> is not known"), spelt)) < 8
    assert shown.startswith("the key <")
    assert shown.endswith("> is not known")
    assert "***" in shown


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("spell", [str, repr, json.dumps, lambda key: quote(key, safe="")])
def test_secret_is_hidden_wherever_it_was_cut(key, spell):
    spelt = spell(key)
    hide = Redactor(key, run=8)
    for cut in range(1, len(spelt)):
        for part in (spelt[:cut], spelt[cut:], spelt[cut : cut + 12]):
            assert len(shown_run(hide(f"<{part}>"), key)) < 8


def test_every_occurrence_is_hidden_and_the_rest_stays():
    hide = Redactor("secret-0123456789", run=8)
    assert hide("a secret-0123456789 b secret-012 c 23456789 d secret-") == "a *** b *** c *** d secret-"


@pytest.mark.parametrize("text", ["", "short", "sk-live", "nothing of it", "cs_live_a1b2c3", "sk-live9f3Kq"])
def test_other_text_stays_as_it_is(text):
    assert Redactor(KEYS[0], run=8)(text) == text


@pytest.mark.parametrize("secret", ["", "k", "1234567", "\\\\\\\\\\\\\\\\"])
def test_secret_shorter_than_a_run_hides_nothing(secret):
    assert Redactor(secret, run=8)("k 1234567 \\\\\\ 0123456789 test key") == "k 1234567 \\\\\\ 0123456789 test key"


@given(st.text(), st.text())
def test_hiding_keeps_what_stands_around(before, after):
    shown = Redactor(KEYS[0], run=8)(f"{before}|{KEYS[0]}|{after}")
    assert KEYS[0] not in shown
    assert shown.startswith(f"{before}|***")


def everywhere(text):
    """Return responses that carry a text in each place that a message may quote."""
    return [
        raw_response({"data": {"credit_balance": text, "usage_this_month": 1}}),
        raw_response({"data": {"credit_balance": [text], "usage_this_month": 1}}),
        raw_response({"data": {"credit_balance": {text: text}, "usage_this_month": 1}}),
        raw_response({"data": {"credit_balance": 1, "usage_this_month": {"a": ["b", {"c": text}]}}}),
        raw_response({"data": {"credit_balance": 1, "usage_this_month": 1, "breakdown": {text: "many"}}}),
        raw_response({"data": {"credit_balance": 1, "usage_this_month": 1, "breakdown": [text]}}),
        raw_response({"data": text}),
        raw_response({"data": [text]}),
        raw_response({"success": text}),
        raw_response({"success": False, "message": text, "error_code": text}),
        raw_response({"success": False, "message": "x" * 290 + text}, 400),
        raw_response({"success": False, "message": "x" * 1195 + text}, 400),
        raw_response({"success": False, "message": "m", "error_code": "x" * 295 + text}, 403),
        raw_response(text.encode(), 403, Content_Type=f"text/html; {text}", X_Request_Id=text),
        raw_response(b"", 200, Content_Type=f"{'x' * 70}{text}", X_Request_Id=f"{'x' * 290}{text}"),
        raw_response(b"", 302, Location=f"https://elsewhere.example/{text}"),
        raw_response(b"", 302, Location=f"https://elsewhere.example/{'x' * 270}{text}"),
        f"HTTP/1.1 200 OK\r\n{text}\r\n\r\n".encode("latin-1"),
        f"{text} 200 OK\r\n\r\n".encode("latin-1"),
        f"HTTP/1.1 {text} OK\r\n\r\n".encode("latin-1"),
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {text}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1"),
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n{{}}\r\n".encode("latin-1"),
        f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nX: {text}\r\n\r\n".encode("latin-1"),
    ]


def messages_about(client, call):
    with pytest.raises(VideoDBAPIError) as caught:
        call(client)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    return f"{error} {error!r} {error.request_id} {error.error_code} {vars(error)}"


@pytest.mark.parametrize(
    "spell",
    [str, lambda key: key[:14], lambda key: key[-14:], lambda key: key[5:17], repr, json.dumps, SPELLINGS["quote all"]],
    ids=["whole", "beginning", "end", "middle", "repr", "JSON", "quoted"],
)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", range(len(everywhere("x"))))
@pytest.mark.parametrize("call", [BillingClient.get_usage, lambda client: client.topup(5)], ids=["get", "post"])
def test_key_that_a_server_echoes_is_in_no_message(caplog, call, place, key, spell):
    with RawServer(everywhere(spell(key))[place], hang_up=True) as server:
        shown = messages_about(BillingClient(key, base_url=server.url, max_retries=0), call)
    assert len(shown_run(shown, key)) < 8, shown
    assert len(shown_run(caplog.text, key)) < 8


@pytest.mark.parametrize("at", range(40, 90))
def test_key_at_the_edge_where_a_value_is_cut_is_in_no_message(at):
    key = KEYS[1]
    reply = raw_response({"data": {"credit_balance": "x" * at + key, "usage_this_month": 1}})
    with RawServer(reply) as server:
        shown = messages_about(BillingClient(key, base_url=server.url, max_retries=0), BillingClient.get_usage)
    assert len(shown_run(shown, key)) < 8, shown


@pytest.mark.parametrize("key", KEYS)
def test_key_in_a_readable_field_does_not_leave_the_client(key):
    listed = {"id": f"cs_{key}", "amount": 5, "currency": key, "status": key, "created_at": 0}
    usage = {"credit_balance": 1, "usage_this_month": 1, "breakdown": {key: 1, f"x{key[:20]}": 2}}
    with RawServer(raw_response({"data": usage}), raw_response({"data": [listed]})) as server:
        client = BillingClient(key, base_url=server.url, max_retries=0)
        left = [client.get_usage().to_dict(), client.list_checkouts()]
    assert len(shown_run(str(left), key)) < 16


@pytest.mark.parametrize("key", ["test", "pending", "cs_test_", "https://pay", "completed"])
def test_key_so_short_that_other_words_hold_it_spoils_no_field(key):
    listed = {"id": "cs_test_1", "amount": 5, "currency": "usd", "status": "completed", "created_at": 0}
    replies = [raw_response({"data": {"url": "https://pay.example/cs_test_1"}}), raw_response({"data": [listed]})]
    with RawServer(*replies) as server:
        client = BillingClient(key, base_url=server.url, max_retries=0)
        ordered = client.topup(5)
        (found,) = client.list_checkouts()
    assert (ordered.id, ordered.url) == ("cs_test_1", "https://pay.example/cs_test_1")
    assert (found.id, found.status) == ("cs_test_1", "completed")


@pytest.mark.parametrize("key", ["k3y", "sk-wrong"])
def test_short_key_is_hidden_where_it_is_echoed_whole(key):
    with RawServer(raw_response({"success": False, "message": f"{key} is not a key"}, 401)) as server:
        assert key not in messages_about(
            BillingClient(key, base_url=server.url, max_retries=0), BillingClient.get_usage
        )
