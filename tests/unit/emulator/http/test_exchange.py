"""Every fault on a real socket, and the work that was done."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

TOPUP = b'{"amount": 50}'


class Wire:
    """A TCP connection to the emulator."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.socket = socket.create_connection(("127.0.0.1", emulator.port), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method="POST", path="/billing/topup", body=TOPUP):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-access-token: {self.emulator.api_key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)

    def read_to_end(self):
        """Return every byte until the emulator closes the connection."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture
def wire(emulator):
    with Wire(emulator) as opened:
        yield opened


def finished(emulator):
    """Wait until the emulator is done with the last call, and return it."""
    return emulator.wait_for_calls(until=lambda call: call.done)[-1]


def test_refuse_resets_the_connection_and_does_no_work(emulator, wire):
    emulator.add_fault("refuse")
    wire.send()
    with pytest.raises(ConnectionResetError):
        wire.read_to_end()
    call = finished(emulator)
    assert (call.fault, call.status, call.work_status, call.accepted, call.body) == ("refuse", None, None, False, "")
    assert emulator.checkouts() == []


def test_refuse_does_not_wait_for_the_body(emulator, wire):
    emulator.add_fault("refuse")
    wire.socket.sendall(b"POST /billing/topup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        wire.read_to_end()


def test_drop_before_reads_the_request_and_does_no_work(emulator, wire):
    emulator.add_fault("drop_before")
    wire.send()
    assert wire.read_to_end() == b""
    call = finished(emulator)
    assert (call.status, call.work_status, call.accepted) == (None, None, False)
    assert call.body == TOPUP.decode()
    assert emulator.checkouts() == []


def test_drop_after_does_the_work_and_loses_the_response(emulator, wire):
    emulator.add_fault("drop_after")
    wire.send()
    assert wire.read_to_end() == b""
    call = finished(emulator)
    assert (call.status, call.work_status, call.accepted) == (None, 200, True)
    assert [c.amount for c in emulator.checkouts()] == [50]


@pytest.mark.parametrize(("work", "made"), [(False, 0), (True, 1)])
def test_hang_holds_a_call_until_it_is_cleared(emulator, wire, work, made):
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


def test_hang_ends_by_the_wall_clock(emulator, wire):
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
def test_hang_ends_at_removal_and_at_reset(emulator, wire, end):
    fault = emulator.add_fault("hang")
    wire.send()
    emulator.wait_for_calls(until=lambda call: call.body)
    if end == "reset":
        emulator.reset()
    else:
        emulator.remove_fault(fault.id)
    assert wire.read_to_end() == b""
    assert len(emulator.calls()) == (end != "reset"), "a call from before a reset is not in the new log"


def test_other_calls_continue_while_one_hangs(emulator, api, wire):
    emulator.add_fault("hang", path="/billing/topup")
    wire.send()
    emulator.wait_for_calls(path="/billing/topup")
    assert api.get("/billing/usage").status_code == 200


@pytest.mark.parametrize("value", ["1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-1"])
def test_retry_after_is_sent_as_it_was_given(emulator, api, value):
    emulator.add_fault("status", status=429, retry_after=value)
    limited = api.post("/billing/topup", {"amount": 50})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, value)
    assert limited.json()["success"] is False
    assert emulator.checkouts() == []
    assert api.get("/billing/usage").status_code == 200


@pytest.mark.parametrize("status", [400, 403, 404, 418, 500, 502, 503, 599])
@pytest.mark.parametrize("work", [False, True])
def test_status_fault_sends_any_error_before_or_after_the_work(emulator, api, status, work):
    emulator.add_fault("status", status=status, work=work, body="not JSON", headers={"X-Request-Id": "r1"})
    response = api.post("/billing/topup", {"amount": 50})
    assert (response.status_code, response.text, response.headers["x-request-id"]) == (status, "not JSON", "r1")
    assert len(emulator.checkouts()) == int(work)
    call = emulator.calls()[0]
    assert (call.status, call.work_status, call.accepted) == (status, 200 if work else None, work)


def test_status_fault_sends_an_object_as_json(emulator, api):
    emulator.add_fault("status", status=503, body={"success": False, "message": "busy"})
    assert api.get("/billing/usage").json() == {"success": False, "message": "busy"}


@pytest.mark.parametrize("work", [False, True])
def test_html_fault_sends_a_page_with_status_200(emulator, api, work):
    emulator.add_fault("html", work=work)
    page = api.post("/billing/topup", {"amount": 50})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!doctype html>")
    assert len(emulator.checkouts()) == int(work)


@pytest.mark.parametrize("status", [200, 202, 401, 403, 404, 429, 503])
def test_html_fault_sends_any_status(emulator, api, status):
    emulator.add_fault("html", status=status)
    page = api.get("/billing/usage")
    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!doctype html>")


@pytest.mark.parametrize(("work", "made"), [(None, 1), (False, 0)])
def test_truncated_fault_announces_more_than_it_sends(emulator, work, made):
    emulator.add_fault("truncated", work=work)
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    connection.request("POST", "/billing/topup", TOPUP, {"x-access-token": emulator.api_key})
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as broken:
        response.read()
    connection.close()
    assert response.status == 200
    assert broken.value.partial.startswith(b'{"success"')
    assert broken.value.expected > 0
    assert len(emulator.checkouts()) == made
    assert finished(emulator).status is None


@pytest.mark.parametrize("status", [302, 307])
def test_redirect_fault_names_its_location(emulator, api, status):
    emulator.add_fault("redirect", status=status, location="http://127.0.0.1:9/elsewhere")
    moved = api.get("/billing/usage")
    assert (moved.status_code, moved.headers["location"]) == (status, "http://127.0.0.1:9/elsewhere")


def test_redirect_fault_is_302_by_default(emulator, api):
    emulator.add_fault("redirect", location="https://example.com/")
    assert api.get("/billing/usage").status_code == 302


def test_slow_body_arrives_complete_and_late(emulator, api):
    emulator.add_fault("slow_body", seconds=0.5)
    started = time.monotonic()
    response = api.post("/billing/topup", {"amount": 50})
    assert time.monotonic() - started >= 0.4
    assert response.json()["data"]["url"] == emulator.payment_url(emulator.checkouts()[0].id)


def test_slow_body_ends_when_it_is_cleared(emulator, wire):
    emulator.add_fault("slow_body", seconds=3600)
    wire.send()
    assert wire.socket.recv(15) == b"HTTP/1.1 200 OK"
    emulator.clear_faults()
    emulator.wait_for_calls(until=lambda call: call.status == 200)


def test_connection_is_reused_after_a_fault_with_a_response(emulator, wire):
    emulator.add_fault("status", status=500)
    for expected in (b"HTTP/1.1 500", b"HTTP/1.1 200"):
        wire.send("GET", "/billing/usage", b"")
        response = http.client.HTTPResponse(wire.socket)
        response.begin()
        response.read()
        assert f"HTTP/1.1 {response.status}".encode() == expected


def test_stop_is_quick_while_faults_hold_calls(emulator):
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
