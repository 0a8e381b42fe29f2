"""The callbacks of jobs, received by a real server."""

from __future__ import annotations

import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.http import callbacks
from airflow_provider_videodb.emulator.server import Emulator

URL = "https://example.com/talks/keynote.mp4"


class Receiver:
    """A server that keeps what it gets and responds with `status`."""

    def __init__(self):
        self.status = 200
        self.got = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.put((self.path, dict(self.headers), json.loads(body)))
                self.send_response(receiver.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/done?token=tok-secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.got.get(timeout=60)


@pytest.fixture
def receiver():
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


def sent(emulator, count=1):
    """Wait until the emulator has finished with some callbacks."""
    with emulator.state.changed:
        assert emulator.state.changed.wait_for(lambda: len(emulator.callbacks()) >= count, timeout=60)
    return emulator.callbacks()


def upload(api, **fields):
    return api.post("/collection/default/upload", {"url": URL, **fields}).json()


def test_upload_is_called_back_when_it_ends(emulator, api, receiver):
    emulator.change_settings(upload_duration=600)
    started = upload(api, callback_url=receiver.url)
    assert (started["status"], started["request_type"]) == ("processing", "async")
    emulator.advance(599)
    assert emulator.callbacks() == []
    emulator.advance(1)
    path, headers, body = receiver.next()
    assert path == "/done?token=tok-secret"
    assert (headers["Content-Type"], headers["User-Agent"]) == ("application/json", "videodb-emulator")
    assert "x-access-token" not in {name.lower() for name in headers}
    assert body == api.get(f"/async-response/{started['data']['id']}").json()
    assert body["data"]["id"].startswith("m-")
    (callback,) = sent(emulator)
    assert (callback.status, callback.failure, callback.job_id) == (200, "", started["data"]["id"])
    assert "tok-secret" not in callback.url


def test_job_that_ends_by_itself_is_called_back(emulator, api, receiver):
    emulator.change_settings(index_duration="0.3")
    video = upload(api)["data"]["id"]
    begin = time.monotonic()
    api.post(f"/video/{video}/index", {"callback_url": receiver.url})
    assert receiver.next()[2]["status"] == "done"
    assert time.monotonic() - begin >= 0.3


@pytest.mark.parametrize("path", ["index", "index/scene", "transcription"])
def test_late_shortage_is_called_back(emulator, api, receiver, path):
    emulator.change_settings(price_index=4, on_shortage="fail_job")
    video = upload(api)["data"]["id"]
    api.post(f"/video/{video}/{path}", {"callback_url": receiver.url})
    body = receiver.next()[2]
    assert (body["success"], body["status"]) == (False, "failed")
    assert body["message"].startswith("Insufficient credits")


def test_sdk_returns_none_and_the_callback_has_the_index(emulator, connection, video, receiver):
    assert video.index_scenes(callback_url=receiver.url) is None
    assert receiver.next()[2]["data"]["scene_index_id"].startswith("si-")
    assert emulator.balance == 1


def test_stuck_and_refused_jobs_are_never_called_back(emulator, api, receiver):
    emulator.change_settings(price_index=2, index_duration=None)
    video = upload(api)["data"]["id"]
    assert api.post(f"/video/{video}/index", {"callback_url": receiver.url}).status_code == 200
    assert api.post(f"/video/{video}/index", {"callback_url": receiver.url}).status_code == 402
    emulator.advance(10**6)
    upload(api, callback_url=receiver.url)  # it ends at once, so it shows that nothing else was due
    assert receiver.next()[2]["data"]["name"] == "keynote"
    assert len(sent(emulator)) == 1


def test_reset_forgets_callbacks(emulator, api, receiver):
    emulator.change_settings(upload_duration=60)
    upload(api, callback_url=receiver.url)
    emulator.reset()
    emulator.advance(3600)
    upload(api, callback_url=receiver.url)
    receiver.next()
    assert receiver.got.empty()
    assert len(sent(emulator)) == 1


@pytest.mark.parametrize("status", [307, 503])
def test_callback_is_sent_once_whatever_it_gets(emulator, api, receiver, control, status):
    receiver.status = status
    upload(api, callback_url=receiver.url)
    (callback,) = sent(emulator)
    assert callback.status == status
    upload(api, callback_url=receiver.url)
    assert len(sent(emulator, 2)) == receiver.got.qsize() == 2
    assert [each["status"] for each in control("GET", "/callbacks").json()["callbacks"]] == [status] * 2
    emulator.clear_calls()
    assert emulator.callbacks() == []


def test_receiver_that_fails_is_named(emulator, api, monkeypatch):
    monkeypatch.setattr(callbacks, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        upload(api, callback_url=f"http://localhost:{port}/")
        assert sent(emulator)[-1].failure == "no response in 0.3 s"
    upload(api, callback_url=f"http://127.0.0.1:{port}/")
    assert "Connect" in sent(emulator, 2)[-1].failure
    upload(api, callback_url="https://127.0.0.1:1/")
    assert sent(emulator, 3)[-1].status is None


@pytest.mark.parametrize("response", [b"hello there friend\r\n", b"\r\n", b"", b"HTTP/1.1 fine\r\n", b"x" * 100_000])
def test_receiver_that_speaks_no_http_is_named(emulator, api, response):
    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(response)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        upload(api, callback_url=f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert sent(emulator)[-1].failure == "the response is not HTTP"
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/done",
        "http://127.0.0.1@example.com/",
        "http://localhost.example.com/",
        "http://10.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\r\nX: y",
        "",
        7,
    ],
)
def test_callback_to_another_machine_is_refused(emulator, api, url):
    refused = api.post("/collection/default/upload", {"url": URL, "callback_url": url})
    assert refused.status_code == 400
    assert "callback_url must" in refused.json()["message"]
    assert emulator.state.jobs.videos() == []


def test_named_host_may_be_called(emulator, api):
    emulator.change_settings(callback_hosts=["airflow.test"])
    assert upload(api, callback_url="http://airflow.test:8080/done")["success"] is True
    assert sent(emulator)[0].status is None  # nobody knows this name
    with pytest.raises(InvalidValueError, match="callback_hosts must be host names without a port"):
        emulator.change_settings(callback_hosts=["http://airflow.test"])


def test_emulator_stops_while_a_receiver_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as silent, Emulator() as emulator:
        requests.post(
            f"{emulator.base_url}/collection/default/upload",
            json={"url": URL, "callback_url": f"http://127.0.0.1:{silent.getsockname()[1]}/"},
            headers={"x-access-token": emulator.api_key},
            timeout=60,
        )
        connection, _ = silent.accept()
        begin = time.monotonic()
        emulator.stop()
        assert time.monotonic() - begin < callbacks.TIMEOUT / 2
        connection.close()


def test_command_prints_a_line_for_each_callback(receiver):
    command = [sys.executable, "-m", "airflow_provider_videodb.emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        base_url = ""
        while not base_url:
            found = re.search(r"Base URL +(\S+)", process.stdout.readline())
            base_url = found.group(1) if found else ""
        closed = "http://127.0.0.1:1/done?token=tok-secret"
        headers = {"x-access-token": "sk-emulator-not-a-secret"}
        for url in (receiver.url, closed):
            requests.post(
                f"{base_url}/collection/default/upload",
                json={"url": URL, "callback_url": url},
                headers=headers,
                timeout=60,
            )
        lines = []
        while sum("callback" in line for line in lines) < 2:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
    good, bad = sorted(line[10:].strip() for line in lines if "callback" in line)
    assert re.fullmatch(r"200  callback http://127\.0\.0\.1:\d+/done  job-\w+", good)
    assert re.fullmatch(r"none  callback http://127\.0\.0\.1:1/done  job-\w+  failed: .*[Cc]onnect.*", bad)
