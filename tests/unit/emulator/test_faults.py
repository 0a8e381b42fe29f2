"""Every fault, as a client meets it on a real socket; and what the emulator has done meanwhile."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from airflow_provider_videodb.emulator.errors import InvalidValueError, NotFoundError

TOPUP = b'{"amount": 50}'


class Wire:
    """One TCP connection to the emulator."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.socket = socket.create_connection(("127.0.0.1", emulator.port), timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method="POST", path="/billing/topup", body=TOPUP):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: emulator\r\nx-access-token: {self.emulator.api_key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)

    def read_to_end(self):
        """Return every byte until the other side closes; a reset raises."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture
def wire(emulator):
    with Wire(emulator) as opened:
        yield opened


def finished(emulator):
    """Return the last call once the emulator is done with it."""
    return emulator.wait_for_calls(until=lambda call: call.done)[-1]


def test_refuse_resets_the_connection_without_a_byte_and_without_work(emulator, wire):
    emulator.add_fault("refuse")
    wire.send()
    with pytest.raises(ConnectionResetError):
        wire.read_to_end()
    call = finished(emulator)
    assert (call.fault, call.status, call.work_status, call.accepted, call.body) == ("refuse", None, None, False, "")
    assert emulator.checkouts() == []


def test_refuse_does_not_wait_for_the_body(emulator, wire):
    emulator.add_fault("refuse")
    wire.socket.sendall(b"POST /billing/topup HTTP/1.1\r\nHost: emulator\r\nContent-Length: 100000\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        wire.read_to_end()


def test_drop_before_reads_the_request_and_closes_without_work(emulator, wire):
    emulator.add_fault("drop_before")
    wire.send()
    assert wire.read_to_end() == b""
    call = finished(emulator)
    assert (call.status, call.work_status, call.accepted) == (None, None, False)
    assert call.body == TOPUP.decode()
    assert emulator.checkouts() == []


def test_drop_after_does_the_work_and_closes_without_an_answer(emulator, wire):
    emulator.add_fault("drop_after")
    wire.send()
    assert wire.read_to_end() == b""
    call = finished(emulator)
    assert (call.status, call.work_status, call.accepted) == (None, 200, True)
    assert [c.amount for c in emulator.checkouts()] == [50]


@pytest.mark.parametrize(("work", "made"), [(False, 0), (True, 1)])
def test_hang_holds_until_cleared(emulator, wire, work, made):
    emulator.add_fault("hang", work=work)
    wire.send()
    call = emulator.wait_for_calls(until=lambda call: call.body)[0]
    assert not call.done
    wire.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        wire.socket.recv(1)
    assert len(emulator.checkouts()) == made
    wire.socket.settimeout(10)
    emulator.clear_faults()
    if work:
        assert wire.socket.recv(15) == b"HTTP/1.1 200 OK"
    else:
        assert wire.read_to_end() == b""
    assert len(emulator.checkouts()) == made


def test_hang_ends_by_emulator_time(emulator, wire):
    emulator.add_fault("hang", seconds=3600, work=True)
    wire.send()
    emulator.wait_for_calls(until=lambda call: call.work_status)
    emulator.advance(3599)
    assert not emulator.calls()[0].done
    emulator.advance(1)
    assert wire.socket.recv(15) == b"HTTP/1.1 200 OK"


def test_hang_ends_by_the_wall_clock_too(emulator, wire):
    emulator.add_fault("hang", seconds=0.2)
    started = time.monotonic()
    wire.send()
    assert wire.read_to_end() == b""
    assert time.monotonic() - started >= 0.2


def test_hang_ends_when_the_client_leaves(emulator, wire):
    emulator.add_fault("hang", work=True)
    wire.send()
    emulator.wait_for_calls(until=lambda call: call.work_status)
    wire.socket.close()
    call = finished(emulator)
    assert (call.status, call.work_status) == (None, 200)


@pytest.mark.parametrize("end", ["remove_fault", "reset"])
def test_hang_ends_when_its_fault_is_removed_or_the_emulator_reset(emulator, wire, end):
    fault = emulator.add_fault("hang")
    wire.send()
    emulator.wait_for_calls(until=lambda call: call.body)
    if end == "reset":
        emulator.reset()
    else:
        emulator.remove_fault(fault.id)
    assert wire.read_to_end() == b""
    assert len(emulator.calls()) == (end != "reset"), "what is left of an earlier test does not show after a reset"


def test_other_calls_go_on_while_one_hangs(emulator, api, wire):
    emulator.add_fault("hang", path="/billing/topup")
    wire.send()
    emulator.wait_for_calls(path="/billing/topup")
    assert api.get("/billing/usage").status_code == 200


@pytest.mark.parametrize("value", ["1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-1"])
def test_429_with_any_retry_after(emulator, api, value):
    emulator.add_fault("status", status=429, retry_after=value)
    limited = api.post("/billing/topup", {"amount": 50})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, value)
    assert limited.json()["success"] is False
    assert emulator.checkouts() == []
    assert api.get("/billing/usage").status_code == 200


@pytest.mark.parametrize("status", [400, 403, 404, 418, 500, 502, 503, 599])
@pytest.mark.parametrize("work", [False, True])
def test_any_error_status_before_or_after_the_work(emulator, api, status, work):
    emulator.add_fault("status", status=status, work=work, body="not JSON", headers={"X-Request-Id": "r1"})
    answer = api.post("/billing/topup", {"amount": 50})
    assert (answer.status_code, answer.text, answer.headers["x-request-id"]) == (status, "not JSON", "r1")
    assert len(emulator.checkouts()) == int(work)
    call = emulator.calls()[0]
    assert (call.status, call.work_status, call.accepted) == (status, 200 if work else None, work)


def test_a_body_may_be_given_as_an_object(emulator, api):
    emulator.add_fault("status", status=503, body={"success": False, "message": "busy"})
    assert api.get("/billing/usage").json() == {"success": False, "message": "busy"}


@pytest.mark.parametrize("work", [False, True])
def test_html_with_status_200(emulator, api, work):
    emulator.add_fault("html", work=work)
    page = api.post("/billing/topup", {"amount": 50})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!doctype html>")
    assert len(emulator.checkouts()) == int(work)


@pytest.mark.parametrize("status", [200, 202, 401, 403, 404, 429, 503])
def test_html_page_comes_with_the_status_asked_for(emulator, api, status):
    emulator.add_fault("html", status=status)
    page = api.get("/billing/usage")
    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!doctype html>")


@pytest.mark.parametrize(("work", "made"), [(None, 1), (False, 0)])
def test_truncated_announces_more_than_it_sends(emulator, work, made):
    emulator.add_fault("truncated", work=work)
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    connection.request("POST", "/billing/topup", TOPUP, {"x-access-token": emulator.api_key})
    answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    connection.close()
    assert answer.status == 200
    assert broken.value.partial.startswith(b'{"success"')
    assert broken.value.expected > 0
    assert len(emulator.checkouts()) == made
    assert finished(emulator).status is None


@pytest.mark.parametrize("status", [302, 307])
def test_redirect(emulator, api, status):
    emulator.add_fault("redirect", status=status, location="http://127.0.0.1:9/elsewhere")
    moved = api.get("/billing/usage")
    assert (moved.status_code, moved.headers["location"]) == (status, "http://127.0.0.1:9/elsewhere")


def test_redirect_is_302_unless_told(emulator, api):
    emulator.add_fault("redirect", location="https://example.com/")
    assert api.get("/billing/usage").status_code == 302


def test_slow_body_arrives_whole_but_slowly(emulator, api):
    emulator.add_fault("slow_body", seconds=0.5)
    started = time.monotonic()
    answer = api.post("/billing/topup", {"amount": 50})
    assert time.monotonic() - started >= 0.4
    assert answer.json()["data"]["url"] == emulator.payment_url(emulator.checkouts()[0].id)


def test_slow_body_ends_when_cleared(emulator, wire):
    emulator.add_fault("slow_body", seconds=3600)
    wire.send()
    assert wire.socket.recv(15) == b"HTTP/1.1 200 OK"
    emulator.clear_faults()
    emulator.wait_for_calls(until=lambda call: call.status == 200)


def test_a_fault_is_for_its_route_and_its_number_of_calls(emulator, api):
    emulator.add_fault("status", status=503, method="get", path="/billing/*", times=2, skip=1)
    seen = [api.get("/billing/usage").status_code for _ in range(4)]
    assert seen == [200, 503, 503, 200]
    assert api.post("/billing/topup", {"amount": 5}).status_code == 200
    assert emulator.faults() == []


def test_a_fault_can_last_until_cleared(emulator, api):
    fault = emulator.add_fault("status", status=500, times=None)
    assert [api.get(path).status_code for path in ("/billing/usage", "/video", "/nowhere")] == [500] * 3
    assert emulator.faults() == [fault]
    emulator.clear_faults()
    assert api.get("/billing/usage").status_code == 200
    with pytest.raises(NotFoundError):
        emulator.remove_fault(fault.id)


def test_faults_for_all_calls_spare_pages_and_control(emulator, api):
    emulator.add_fault("status", status=500, times=None)
    assert api.get("/").status_code == 200
    assert api.get("/_emulator/state").status_code == 200
    emulator.add_fault("status", status=500, path="/pay/*")
    assert api.get("/pay/cs_test_x").status_code == 500
    assert api.get("/pay/cs_test_x").status_code == 404


def test_the_first_fault_that_matches_is_met(emulator, api):
    emulator.add_fault("status", status=500, path="/billing/usage")
    emulator.add_fault("status", status=503)
    assert [api.get("/billing/usage").status_code for _ in range(3)] == [500, 503, 200]


def test_a_fault_met_by_many_at_once_is_met_exactly_its_times(emulator):
    emulator.add_fault("status", status=503, times=7)
    headers = {"x-access-token": emulator.api_key}
    with ThreadPoolExecutor(8) as pool:
        url = f"{emulator.base_url}/billing/usage"
        answers = list(pool.map(lambda _: requests.get(url, headers=headers, timeout=10).status_code, range(40)))
    assert answers.count(503) == 7
    assert answers.count(200) == 33
    assert len(emulator.calls()) == 40


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "explode"},
        {"kind": "status", "status": 200},
        {"kind": "status", "status": "500"},
        {"kind": "html", "status": 199},
        {"kind": "html", "status": 204},
        {"kind": "html", "status": 304},
        {"kind": "redirect"},
        {"kind": "redirect", "location": "x\r\ny: z"},
        {"kind": "redirect", "location": "/x", "status": 500},
        {"kind": "drop_after", "work": False},
        {"kind": "refuse", "work": True},
        {"kind": "hang", "seconds": -1},
        {"kind": "hang", "times": 0},
        {"kind": "hang", "path": "billing"},
        {"kind": "hang", "colour": "red"},
        {"kind": "status", "headers": {"a": 1}},
        {"kind": "status", "retry_after": "1\r\n"},
        {},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(emulator, api, fields):
    refused = api.post("/_emulator/faults", fields)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "invalid_request")
    with pytest.raises(InvalidValueError):
        emulator.add_fault(fields.get("kind"), **{k: v for k, v in fields.items() if k != "kind"})


def test_a_connection_is_reused_after_a_fault_that_answers(emulator, wire):
    emulator.add_fault("status", status=500)
    for expected in (b"HTTP/1.1 500", b"HTTP/1.1 200"):
        wire.send("GET", "/billing/usage", b"")
        answer = http.client.HTTPResponse(wire.socket)
        answer.begin()
        answer.read()
        assert f"HTTP/1.1 {answer.status}".encode() == expected


def test_stopping_is_quick_with_calls_held_in_every_way(emulator):
    faults = [("hang", {}), ("hang", {"work": True}), ("slow_body", {"seconds": 3600})]
    wires = []
    for kind, fields in faults:
        emulator.add_fault(kind, **fields)
        wires.append(Wire(emulator))
        wires[-1].send()
    emulator.wait_for_calls(3, until=lambda call: call.body)
    started = time.monotonic()
    emulator.stop()
    assert time.monotonic() - started < 2
    assert not any(thread.name == "videodb-emulator" for thread in threading.enumerate())
    for wire in wires:
        wire.socket.close()
