"""One request and what its outcome means, against servers that do what no documentation mentions."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_videodb import __version__
from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.api.urls import check_base_url, is_loopback
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBGatewayError,
    VideoDBGatewayRateLimitError,
    VideoDBInsufficientCreditsError,
    VideoDBNotFoundError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBResponseError,
    VideoDBServerError,
    is_permanent,
)
from tests.conftest import API_KEY
from tests.support.raw_server import RawServer, answer

LINK = answer({"success": True, "data": {"url": "https://pay.example/cs_1"}})
OK = answer({"success": True, "data": {}})
#: Successes that are not VideoDB's: a gateway's page, half an answer, another program's JSON.
FOREIGN_ANSWERS = {
    "html": answer(b"<html>down for maintenance</html>", Content_Type="text/html"),
    "empty": answer(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "list": answer([1, 2]),
    "text": answer("fine"),
    "null": answer(None),
    "not json": answer(b'{"success": true'),
    "not utf-8": answer(b'{"a": "\xff\xfe"}'),
    "nested without end": answer(b"[" * 100_000),
    "nested too deep": answer(b'{"data": ' + b"[" * 40 + b"]" * 40 + b"}"),
    "cut without notice": b'HTTP/1.0 200 OK\r\n\r\n{"success": tr',
}
#: Answers of VideoDB's shape that say what no call is documented to say.
UNREADABLE_ANSWERS = {
    "success that is a word": answer({"success": "true"}),
    "success that is null": answer({"success": None}),
    "processing": answer({"success": True, "status": "processing", "data": {"output_url": "https://x.example"}}),
}
BROKEN_CONNECTIONS = {
    "no answer": b"",
    "half a status line": b"HTTP/1.",
    "another protocol": b"220 mail.example ESMTP\r\n",
    "cut in the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "cut in the body": b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"success": true, "data"',
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{",
    "no gzip": answer(b"{}", Content_Encoding="gzip"),
    "an encoding nobody asked for": answer(b"{}", Content_Encoding="br"),
    "two encodings": answer(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"),
    "another protocol to go on with": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "hints without an answer": b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    "headers without a colon": b"HTTP/1.1 200 OK\r\nContent Length\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "too large": answer(b" " * (17 * 1024 * 1024) + b"{}"),
}


@pytest.fixture
def waits(monkeypatch):
    """Collect what would have been slept."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


def transport(url, *, timeout=5.0, max_retries=0, api_key=API_KEY):
    return Transport(
        api_key=api_key, base_url=url, timeout=timeout, max_retries=max_retries, user_agent="airflow-provider-videodb/0"
    )


def get(url, **options):
    return transport(url, **options).get("/billing/usage", dict)


def post(url, **options):
    return transport(url, **options).post("/billing/topup", dict, payload={"amount": 5})


def failure_of(call, *args, **kwargs):
    with pytest.raises(VideoDBAPIError) as caught:
        call(*args, **kwargs)
    return caught.value


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("call", [get, post])
def test_a_refused_connection_was_never_sent(call):
    error = failure_of(call, f"http://127.0.0.1:{free_port()}")
    assert type(error) is VideoDBNotSentError
    assert error.status is None
    assert "Nothing was done at VideoDB" in str(error)
    assert isinstance(error, NO_EFFECT_ERRORS)


@pytest.mark.parametrize(
    "url",
    [
        "https://no-such-host.invalid",
        f"https://{'a' * 70}.example",
        "https://a..example",
        f"https://\u00fc{'x' * 70}.example",
        "https://*.example",
    ],
)
def test_a_host_that_cannot_be_one_was_never_sent_to(url):
    assert type(failure_of(post, url)) is VideoDBNotSentError


def test_a_host_that_does_not_pick_up_was_never_sent_to():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Fill the queue of connections nobody accepts; the kernel then lets further ones wait.
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        error = failure_of(post, f"http://127.0.0.1:{address[1]}", timeout=0.3)
        for client in waiting:
            client.close()
    assert type(error) is VideoDBNotSentError
    assert "ConnectTimeout" in str(error)


def test_https_to_a_server_that_speaks_http_was_never_sent():
    with Emulator(api_key=API_KEY) as emulator:
        error = failure_of(post, emulator.base_url.replace("http:", "https:"))
        assert emulator.calls() == []
    assert type(error) is VideoDBNotSentError
    assert "SSL" in str(error)


def self_signed_certificate(path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


def test_a_certificate_nobody_vouches_for_is_never_sent_to(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed_certificate(tmp_path / "certificate.pem"))
    received = []

    def serve():
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                received.append(secure.recv(100))
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        error = failure_of(post, f"https://127.0.0.1:{listener.getsockname()[1]}")
        server.join(10)
    assert type(error) is VideoDBNotSentError
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert received in ([], [b""])


def test_a_missing_file_of_certificates_is_our_error_and_was_never_sent(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    error = failure_of(post, "https://api.videodb.invalid")
    assert type(error) is VideoDBNotSentError
    assert "/nowhere/ca.pem" in str(error)


@pytest.mark.parametrize("call", [get, post])
@pytest.mark.parametrize("bytes_sent", BROKEN_CONNECTIONS.values(), ids=BROKEN_CONNECTIONS)
def test_an_answer_that_breaks_off_leaves_the_outcome_unknown(call, bytes_sent):
    with RawServer(bytes_sent, hang_up=True) as server:
        error = failure_of(call, server.url)
    assert type(error) is VideoDBOutcomeUnknownError
    assert "may or may not have been carried out" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", [get, post])
@pytest.mark.parametrize("bytes_sent", UNREADABLE_ANSWERS.values(), ids=UNREADABLE_ANSWERS)
def test_an_answer_that_cannot_be_read_is_no_refusal(call, bytes_sent):
    with RawServer(bytes_sent, hang_up=True) as server:
        error = failure_of(call, server.url, max_retries=3)
    assert type(error) is VideoDBResponseError
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)
    assert f"{server.requests[0].method} {server.url}{server.requests[0].path}" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("call", "sent"), [(get, 4), (post, 1)])
@pytest.mark.parametrize("bytes_sent", FOREIGN_ANSWERS.values(), ids=FOREIGN_ANSWERS)
def test_success_of_another_shape_is_a_fault_of_the_road(waits, call, sent, bytes_sent):
    # Where nothing says how long a body is, its end is that of the connection.
    with RawServer(bytes_sent, hang_up=bytes_sent.startswith(b"HTTP/1.0")) as server:
        error = failure_of(call, server.url, max_retries=3)
    assert type(error) is VideoDBGatewayError
    assert isinstance(error, VideoDBResponseError)
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)
    assert error.status in (200, 204)
    assert f"{server.requests[0].method} {server.url}{server.requests[0].path}" in str(error)
    assert "base URL" in str(error)
    assert len(server.requests) == sent


@pytest.mark.parametrize(
    ("status", "error_class", "next_step"),
    [
        (400, VideoDBRefusedError, "Correct the request"),
        (401, VideoDBAuthenticationError, "valid API key into the connection's password"),
        (402, VideoDBInsufficientCreditsError, "Top up the account"),
        (403, VideoDBPermissionError, "API key that may do this"),
        (404, VideoDBNotFoundError, "base URL in the connection's host"),
        (405, VideoDBRefusedError, "Correct the request"),
        (422, VideoDBRefusedError, "Correct the request"),
        (408, VideoDBOutcomeUnknownError, "carried the request out is unknown"),
        (409, VideoDBOutcomeUnknownError, "carried the request out is unknown"),
        (499, VideoDBOutcomeUnknownError, "carried the request out is unknown"),
        (429, VideoDBRateLimitError, "fewer calls"),
        (500, VideoDBServerError, "try again later"),
        (502, VideoDBServerError, "try again later"),
        (599, VideoDBServerError, "try again later"),
        (200, VideoDBRefusedError, "Correct the request"),
    ],
)
def test_a_refusal_says_what_was_asked_what_came_back_and_what_to_do(status, error_class, next_step):
    body = {"success": False, "message": "no\n such  luck", "error_code": "E_17"}
    with RawServer(answer(body, status, X_Request_Id="req-9")) as server:
        error = failure_of(post, server.url)
    assert type(error) is error_class
    assert (error.status, error.error_code, error.request_id) == (status, "E_17", "req-9")
    for part in (f"POST {server.url}/billing/topup", f"HTTP {status}", "E_17", "req-9", '"no such luck"', next_step):
        assert part in str(error)


#: What gateways, proxies and API managers refuse with.
FOREIGN_REFUSALS = {
    "page": b"<!doctype html><title>Just a moment...</title>",
    "nothing": b"",
    "text": b"Forbidden",
    "list": b"[]",
    "word": b'"denied"',
    "null": b"null",
    "empty object": b"{}",
    "message": b'{"message": "Forbidden"}',
    "detail": b'{"detail": "Not authenticated"}',
    "code and message": b'{"statusCode": 401, "message": "Access denied due to invalid subscription key."}',
    "fault": b'{"fault": {"faultstring": "Invalid ApiKey", "detail": {"errorcode": "oauth.v2.InvalidApiKey"}}}',
    "errors": b'{"errors": [{"code": 1020, "message": "Access denied"}]}',
    "words for values": b'{"success": "false", "error_code": null}',
    "success": b'{"success": true, "data": {}}',
    "empty code": b'{"error_code": ""}',
    "code": b'{"error_code": "E_17"}',
    "cloudflare": b'{"cloudflare_error": true, "error_code": 1020, "message": "Access denied"}',
    "code that is a list": b'{"error_code": ["E"]}',
    "cut": b'{"success": false, "mess',
    "not utf-8": b'{"success": false, "message": "\xff"}',
}
#: The shortest that VideoDB's own refusals can be.
OWN_REFUSALS = [
    b'{"success": false}',
    b'{"success": false, "message": null, "error_code": null}',
    b'{"success": false, "message": ["x"]}',
    b'{"success": false, "extra": NaN}',
]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 413, 418, 422, 451])
@pytest.mark.parametrize("body", FOREIGN_REFUSALS.values(), ids=FOREIGN_REFUSALS)
def test_refusal_of_another_shape_says_nothing_about_key_or_request(status, body):
    with RawServer(answer(body, status, Content_Type="text/html", X_Request_Id="ray-1")) as server:
        error = failure_of(post, server.url)
    assert type(error) is VideoDBGatewayError
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)
    assert not isinstance(error, NO_EFFECT_ERRORS)
    assert not is_permanent(error)
    assert (error.status, error.request_id) == (status, "ray-1")
    for part in (f"HTTP {status}", f"{len(body)} bytes of text/html", "between here and VideoDB", "proxy", "base URL"):
        assert part in str(error)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_refusal_of_another_shape_is_tried_again_by_a_get(waits, status):
    with RawServer(answer(FOREIGN_REFUSALS["page"], status), OK) as server:
        assert get(server.url, max_retries=1)["success"] is True
    assert len(waits) == 1


def test_refusal_of_another_shape_ends_a_get_after_its_tries(waits):
    with RawServer(answer(FOREIGN_REFUSALS["page"], 403)) as server:
        assert type(failure_of(get, server.url, max_retries=2)) is VideoDBGatewayError
    assert len(server.requests) == 3


def test_refusal_of_another_shape_may_ask_to_wait(waits):
    with RawServer(answer(b"", 403, Retry_After="7"), OK) as server:
        get(server.url, max_retries=1)
    assert 7 <= waits[0] <= 8


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (401, VideoDBAuthenticationError),
        (402, VideoDBInsufficientCreditsError),
        (403, VideoDBPermissionError),
        (404, VideoDBNotFoundError),
        (400, VideoDBRefusedError),
    ],
)
@pytest.mark.parametrize("body", OWN_REFUSALS)
def test_refusal_of_videodb_is_known_by_its_shape(status, error_class, body):
    with RawServer(answer(body, status)) as server:
        assert type(failure_of(post, server.url)) is error_class


@pytest.mark.parametrize("body", [*FOREIGN_REFUSALS.values(), *OWN_REFUSALS], ids=range(24))
@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (408, VideoDBOutcomeUnknownError),
        (409, VideoDBOutcomeUnknownError),
        (425, VideoDBOutcomeUnknownError),
        (499, VideoDBOutcomeUnknownError),
        (500, VideoDBServerError),
        (502, VideoDBServerError),
        (530, VideoDBServerError),
        (999, VideoDBServerError),
    ],
)
def test_what_a_status_alone_tells_is_told_whatever_the_body(status, error_class, body):
    with RawServer(answer(body, status)) as server:
        assert type(failure_of(post, server.url)) is error_class


@pytest.mark.parametrize("body", OWN_REFUSALS)
def test_429_of_videodb_proves_that_nothing_was_done(body):
    with RawServer(answer(body, 429, Retry_After="7")) as server:
        error = failure_of(post, server.url)
    assert (type(error), error.retry_after) == (VideoDBRateLimitError, 7)
    assert not isinstance(error, OUTCOME_UNKNOWN_ERRORS)


@pytest.mark.parametrize("body", FOREIGN_REFUSALS.values(), ids=FOREIGN_REFUSALS)
def test_429_of_a_gateway_asks_to_wait_and_proves_nothing(body):
    with RawServer(answer(body, 429, Retry_After="7")) as server:
        error = failure_of(post, server.url)
    assert isinstance(error, VideoDBRateLimitError)
    assert error.retry_after == 7
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 %d X\r\nContent-Length: 500\r\n\r\n<html>",
        b"HTTP/1.1 %d X\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 %d X\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
@pytest.mark.parametrize(
    ("status", "error_class"),
    [(403, VideoDBGatewayError), (429, VideoDBGatewayRateLimitError), (503, VideoDBServerError)],
)
def test_status_of_a_failure_stands_where_its_body_is_lost(status, error_class, reply):
    with RawServer(reply % status, hang_up=True) as server:
        error = failure_of(post, server.url)
    assert (type(error), error.status) == (error_class, status)


def test_a_whole_body_is_never_quoted():
    with RawServer(answer({"success": False, "message": "m" * 5000, "error_code": "c" * 5000}, 400)) as server:
        assert len(str(failure_of(post, server.url))) < 1500


def test_what_a_terminal_or_a_log_would_choke_on_is_not_quoted():
    body = b'{"success": false, "message": "\\u001b[2Jcleared\\ud800\\u2028\\u0000"}'
    with RawServer(answer(body, 400)) as server:
        message = str(failure_of(post, server.url))
    assert message.isprintable()
    message.encode()


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("refuse", {}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("hang", {}),
        ("status", {"status": 408}),
        ("status", {"status": 429, "retry_after": "0"}),
        ("status", {"status": 500}),
        ("status", {"status": 503, "retry_after": "0"}),
        ("html", {}),
        ("html", {"status": 403}),
        ("truncated", {}),
        ("redirect", {"location": "/elsewhere"}),
    ],
)
def test_a_post_is_sent_exactly_once_whatever_happens(fault, options):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.add_fault(fault, times=None, **options)
        failure_of(post, emulator.base_url, timeout=0.3, max_retries=5)
        assert len(emulator.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("refuse", {}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("truncated", {}),
        ("status", {"status": 408}),
        ("status", {"status": 429}),
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("html", {}),
        ("html", {"status": 403}),
    ],
)
def test_a_get_is_tried_again_until_it_works(waits, fault, options):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.add_fault(fault, times=2, **options)
        assert get(emulator.base_url, max_retries=2)["success"] is True
        assert len(emulator.calls()) == 3
    assert len(waits) == 2


def test_a_get_is_tried_again_when_the_host_was_away(waits, monkeypatch):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.stop()
        monkeypatch.setattr("time.sleep", lambda _: emulator.start())
        assert get(emulator.base_url, max_retries=1)["success"] is True


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_a_refused_get_is_not_tried_again(waits, status):
    with RawServer(answer({"success": False}, status)) as server:
        failure_of(get, server.url, max_retries=3)
    assert len(server.requests) == 1
    assert waits == []


def test_the_waits_double_with_jitter_up_to_a_cap(waits):
    with RawServer(answer(b"", 500)) as server:
        failure_of(get, server.url, max_retries=7)
    assert len(server.requests) == 8
    for wait, base in zip(waits, [0.5, 1, 2, 4, 8, 8, 8], strict=True):
        assert base <= wait <= base + 0.5
    assert len({round(wait % 0.5, 6) for wait in waits}) > 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "low", "high"),
    [
        ("7", 7, 7),
        ("7.25", 7.25, 7.25),
        ("60", 60, 60),
        ("0", 0.5, 1),
        ("-3", 0.5, 1),
        ("soon", 0.5, 1),
        ("nan", 0.5, 1),
        ("inf", 0.5, 1),
        ("", 0.5, 1),
        ("Mon, 99 Foo 2024", 0.5, 1),
        ("Mon, 15 Jan 2024 10:30:00 GMT", 0.5, 1),
    ],
)
def test_the_wait_is_the_one_that_was_asked_for(waits, status, retry_after, low, high):
    with RawServer(answer(b"", status, Retry_After=retry_after), OK) as server:
        get(server.url, max_retries=1)
    assert len(waits) == 1
    assert low <= waits[0] <= high


@pytest.mark.parametrize("clock_is_off_by", [timedelta(0), timedelta(days=1), timedelta(days=-1)])
def test_the_wait_may_be_asked_for_as_a_date(waits, clock_is_off_by):
    its_clock = datetime.now(UTC) - clock_is_off_by
    headers = {
        "Date": format_datetime(its_clock, usegmt=True),
        "Retry_After": format_datetime(its_clock + timedelta(seconds=20), usegmt=True),
    }
    with RawServer(answer(b"", 429, **headers), OK) as server:
        get(server.url, max_retries=1)
    assert waits == [20]


def test_the_wait_is_counted_from_our_clock_where_the_answer_has_no_date(waits):
    in_20_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    with RawServer(answer(b"", 429, Retry_After=in_20_seconds), OK) as server:
        get(server.url, max_retries=1)
    assert 18 <= waits[0] <= 20


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("spelling", ["61", "3600.5", "1e30", "date"])
def test_a_wait_beyond_the_cap_ends_the_call_at_once_and_says_until_when(waits, status, spelling):
    later = datetime.now(UTC) + timedelta(hours=1)
    retry_after = format_datetime(later, usegmt=True) if spelling == "date" else spelling
    with RawServer(answer(b"", status, Retry_After=retry_after)) as server:
        error = failure_of(get, server.url, max_retries=3)
    assert waits == []
    assert len(server.requests) == 1
    assert error.retry_after > 60
    assert "asks to wait" in str(error)
    assert "until" in str(error)
    if spelling == "date":
        assert f"{later:%Y-%m-%d %H:}" in str(error)


def test_the_last_failure_is_raised_as_itself(waits):
    with RawServer(answer(b"", 500), answer(b"", 502)) as server:
        error = failure_of(get, server.url, max_retries=1)
    assert error.status == 502
    assert len(waits) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [get, post])
def test_a_redirect_is_refused_and_the_other_host_hears_nothing(call, status):
    with RawServer(OK) as other, RawServer(answer(b"", status, Location=f"{other.url}/x?k={API_KEY}")) as server:
        error = failure_of(call, server.url, max_retries=2)
    assert type(error) is VideoDBResponseError
    assert f"redirected to {other.url}/x?k=***" in str(error)
    assert error.status == status
    assert len(server.requests) == 1
    assert other.connections == 0


def test_a_redirect_to_nowhere_is_refused_too():
    with RawServer(answer(b"", 302)) as server:
        assert "redirected to nowhere" in str(failure_of(get, server.url))


@pytest.mark.parametrize("call", [get, post])
def test_a_server_that_says_nothing_is_given_up_on_in_time(call):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.add_fault("hang", times=None)
        began = time.monotonic()
        error = failure_of(call, emulator.base_url, timeout=0.3)
        took = time.monotonic() - began
    assert type(error) is VideoDBOutcomeUnknownError
    assert 0.25 < took < 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", *[b" "] * 9000],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 9000],
        [b"HTTP/1.1 200 OK\r\n", *[b"X-Padding: 1\r\n"] * 90],
        [b"HTTP/1.1 ", *[b"2"] * 9000],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 9000,
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9000\r\n\r\n", *[b"\0"] * 9000],
    ],
    ids=["body", "chunks", "headers", "status line", "continue", "compressed body"],
)
def test_a_server_that_drips_is_given_up_on_in_time(pieces):
    def drip(_):
        return server.dripping(pieces, every=0.05)

    with RawServer(drip) as server:
        began = time.monotonic()
        error = failure_of(post, server.url, timeout=0.4)
        took = time.monotonic() - began
    assert isinstance(error, VideoDBOutcomeUnknownError)
    assert took < 3


def test_a_slow_answer_within_the_timeout_is_read():
    whole = gzip.compress(b'{"success": true, "data": {"a": 1}}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(whole)
    # The first bytes of a compressed body decompress to nothing, which is not its end.
    pieces = [head, *(whole[at : at + 4] for at in range(0, len(whole), 4))]

    with RawServer(lambda _: server.dripping(pieces, every=0.01)) as server:
        assert get(server.url) == {"success": True, "data": {"a": 1}}


@pytest.mark.parametrize(("timeout", "expected"), [(5.0, (5.0, 5.0)), (30.0, (10.0, 30.0)), (0.5, (0.5, 0.5))])
@pytest.mark.parametrize("call", [get, post])
def test_every_call_has_a_timeout_for_the_connection_and_for_the_answer(monkeypatch, call, timeout, expected):
    seen = []
    original = requests.Session.request

    def request(self, *args, **kwargs):
        seen.append(kwargs["timeout"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", request)
    with RawServer(OK) as server:
        call(server.url, timeout=timeout)
    assert seen == [expected]


def test_one_connection_serves_many_calls():
    with RawServer(OK) as server:
        reused = transport(server.url)
        for _ in range(5):
            reused.get("/billing/usage", dict)
    assert len(server.requests) == 5
    assert server.connections == 1


def test_a_post_goes_out_on_a_connection_of_its_own():
    """On an idle connection it may cross with the server's hanging up: then its outcome would be unknown."""
    with RawServer(OK) as server:
        reused = transport(server.url)
        for expected in range(2, 30):
            reused.get("/billing/usage", dict)
            reused.post("/billing/topup", dict, payload={})
            assert server.connections == expected


def test_a_get_survives_a_server_that_hangs_up_without_notice(waits):
    with RawServer(OK, hang_up=True) as server:
        reused = transport(server.url, max_retries=1)
        for _ in range(30):
            reused.get("/billing/usage", dict)


def test_bytes_after_an_answer_are_not_taken_for_the_next_one():
    with RawServer(OK + answer({"success": True, "data": "stale"}), answer({"data": "fresh"})) as server:
        reused = transport(server.url)
        reused.get("/a", dict)
        assert reused.get("/b", dict) == {"data": "fresh"}


def test_a_closed_client_holds_no_connection():
    with RawServer(OK) as server:
        closed = BillingClient(API_KEY, base_url=server.url, max_retries=0)
        for expected in (1, 2):
            failure_of(closed.get_usage)
            assert server.connections == expected
            closed.close()


def test_requests_say_who_sends_them():
    with RawServer(LINK) as server:
        BillingClient(API_KEY, base_url=server.url).topup(5)
    headers = server.requests[0].headers
    assert headers["user-agent"] == f"airflow-provider-videodb/{__version__}"
    assert headers["x-access-token"] == API_KEY
    assert headers["accept"] == "application/json"
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


def test_netrc_is_ignored(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\ndefault login any password any\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(OK) as server:
        # The file works: requests alone would use it.
        requests.get(server.url, timeout=5)
        get(server.url)
    assert ["authorization" in request.headers for request in server.requests] == [True, False]


def test_netrc_is_ignored_for_other_hosts_too(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login any password any\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session = transport("https://api.videodb.io")._session
    prepared = session.prepare_request(requests.Request("GET", "https://api.videodb.io/billing/usage"))
    assert "Authorization" not in prepared.headers


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_not_handed_what_is_for_this_machine(monkeypatch, variable):
    with RawServer(OK) as proxy, RawServer(OK) as server:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        get(server.url)
    assert (proxy.connections, len(server.requests)) == (0, 1)


def test_a_proxy_is_used_for_other_hosts_and_never_sees_the_key(monkeypatch):
    with RawServer(answer(b"", 407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure_of(post, "https://api.videodb.invalid")
    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert API_KEY not in str(proxy.requests)
    assert type(error) is VideoDBNotSentError


def test_a_dead_proxy_means_that_nothing_was_sent(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert type(failure_of(post, "https://api.videodb.invalid")) is VideoDBNotSentError


@pytest.mark.parametrize(
    "api_key",
    ["", " ", "sk-with space", "sk-line\nbreak", "sk-tail\n", "\tsk-tab", "sk-\u00e4\u00f6", "sk-\x00nul", "sk-\u2028"],
)
def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(api_key):
    with pytest.raises(VideoDBConfigError) as caught:
        transport("https://api.videodb.io", api_key=api_key)
    assert "sk-" not in repr(caught.value)
    assert "password" in str(caught.value)


def reachable_texts(error):
    """Yield everything a debugger, a logger or an error tracker would find on an exception chain."""
    todo, seen = [error], set()
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type) or thing is None:
            continue
        seen.add(id(thing))
        yield str(thing)
        yield repr(thing)
        if isinstance(thing, BaseException):
            todo += [thing.__cause__, thing.__context__, *thing.args]
        if isinstance(thing, dict):
            todo += [*thing, *thing.values()]
        elif isinstance(thing, list | tuple | set):
            todo += thing
        else:
            todo += vars(thing).values() if hasattr(thing, "__dict__") else []


@pytest.mark.parametrize(
    "reply",
    [
        answer({"success": False, "message": f"bad key {API_KEY}", "error_code": API_KEY}, 401, X_Request_Id=API_KEY),
        answer({"success": False, "message": "x" * 290 + API_KEY}, 400),
        answer({"success": False, "message": API_KEY}),
        answer(b"<html>" + API_KEY.encode(), Content_Type=f"text/html; key={API_KEY}"),
        answer(b"", 302, Location=f"https://elsewhere.example/?k={API_KEY}", Request_Id=API_KEY),
        answer({"success": API_KEY}),
        answer({"success": True, "data": {"url": {"k": API_KEY}}}),
        answer({"success": True, "data": API_KEY}),
        answer(b"", 500, X_Request_Id=API_KEY, Retry_After=API_KEY),
        f"{API_KEY} 200 OK\r\n\r\n".encode(),
        f"HTTP/1.1 {API_KEY} OK\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 5, {API_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n{API_KEY}".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nX: {API_KEY}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nx-access-token {API_KEY}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        b"",
    ],
    ids=range(15),
)
@pytest.mark.parametrize("call", [BillingClient.get_usage, lambda client: client.topup(5)], ids=["get", "post"])
def test_a_key_that_a_server_echoes_is_nowhere_on_the_exception(caplog, capsys, reply, call):
    caplog.set_level(logging.DEBUG)
    with RawServer(reply, hang_up=True) as server:
        error = failure_of(call, BillingClient(API_KEY, base_url=server.url, max_retries=0))
    for found in reachable_texts(error):
        # Half a key is one too many as well.
        assert API_KEY[:12] not in found
    assert API_KEY[:12] not in caplog.text
    assert API_KEY[:12] not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("url", "timeout"),
    [("http://127.0.0.1:1", 5), ("https://no-such-host.invalid", 5)],
)
def test_the_key_is_nowhere_on_the_exception_of_a_request_that_was_never_sent(caplog, url, timeout):
    caplog.set_level(logging.DEBUG)
    error = failure_of(post, url, timeout=timeout)
    assert not any(API_KEY in found for found in reachable_texts(error))
    assert API_KEY not in caplog.text


def test_urllib3_logs_the_call_at_debug_without_the_key(caplog):
    caplog.set_level(logging.DEBUG)
    with RawServer(OK) as server:
        post(server.url)
    assert "POST /billing/topup" in caplog.text
    assert API_KEY not in caplog.text


def test_objects_that_hold_the_key_do_not_show_it():
    client = BillingClient(API_KEY)
    for thing in (client, client._transport, client._transport._session, client._transport._session.auth):
        assert API_KEY not in repr(thing)
        assert API_KEY not in str(thing)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.videodb.io", "https://api.videodb.io"),
        ("https://api.videodb.io/", "https://api.videodb.io"),
        ("https://gateway.example:8443/videodb//", "https://gateway.example:8443/videodb"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://videodb.localhost", "http://videodb.localhost"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_a_base_url_is_used_without_its_last_slash(given, used):
    assert check_base_url(given) == used


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.videodb.io",
        "//api.videodb.io",
        "ftp://api.videodb.io",
        "https://",
        "https:///path",
        "https://:443",
        "https://host:port",
        "https://host:99999",
        "https://host:0",
        "https://[::1",
        "https://user:secret@host",
        "https://secret@host",
        "https://host/?key=secret",
        "https://host?",
        "https://host#",
        "https://host/#secret",
        "https://host/a b",
        "https://ho\nst",
        " https://host",
        "https://host\\@evil.example",
        "http://evil.example\\.localhost",
    ],
)
def test_what_is_no_base_url_is_refused_without_quoting_it(url):
    with pytest.raises(VideoDBConfigError, match="connection's host") as caught:
        check_base_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.videodb.io",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://notlocalhost",
        "HTTP://api.videodb.io",
    ],
)
def test_the_key_is_not_sent_in_clear_text_over_a_network(url):
    with pytest.raises(VideoDBConfigError, match="clear text"):
        check_base_url(url)
    assert not is_loopback(url)
