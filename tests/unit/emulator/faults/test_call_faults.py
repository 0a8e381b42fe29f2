"""Which call meets which fault, and which faults are refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from airflow_provider_videodb.emulator.errors import InvalidValueError, NotFoundError
from airflow_provider_videodb.emulator.faults.call_faults import FaultBoard


def test_fault_meets_its_route_for_its_number_of_calls(emulator, api):
    emulator.add_fault("status", status=503, method="get", path="/billing/*", times=2, skip=1)
    seen = [api.get("/billing/usage").status_code for _ in range(4)]
    assert seen == [200, 503, 503, 200]
    assert api.post("/billing/topup", {"amount": 5}).status_code == 200
    assert emulator.faults() == []


def test_fault_can_last_until_it_is_cleared(emulator, api):
    fault = emulator.add_fault("status", status=500, times=None)
    assert [api.get(path).status_code for path in ("/billing/usage", "/collection/default", "/nowhere")] == [500] * 3
    assert emulator.faults() == [fault]
    emulator.clear_faults()
    assert api.get("/billing/usage").status_code == 200
    with pytest.raises(NotFoundError):
        emulator.remove_fault(fault.id)


def test_fault_of_all_calls_spares_pages_and_control(emulator, api):
    emulator.add_fault("status", status=500, times=None)
    assert api.get("/").status_code == 200
    assert api.get("/_emulator/state").status_code == 200
    emulator.add_fault("status", status=500, path="/pay/*")
    assert api.get("/pay/cs_test_x").status_code == 500
    assert api.get("/pay/cs_test_x").status_code == 404


def test_oldest_matching_fault_is_met(emulator, api):
    emulator.add_fault("status", status=500, path="/billing/usage")
    emulator.add_fault("status", status=503)
    assert [api.get("/billing/usage").status_code for _ in range(3)] == [500, 503, 200]


def test_concurrent_calls_meet_a_fault_exactly_its_times(emulator):
    emulator.add_fault("status", status=503, times=7)
    headers = {"x-access-token": emulator.api_key}
    with ThreadPoolExecutor(8) as pool:
        url = f"{emulator.base_url}/billing/usage"
        statuses = list(pool.map(lambda _: requests.get(url, headers=headers, timeout=60).status_code, range(40)))
    assert statuses.count(503) == 7
    assert statuses.count(200) == 33
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
def test_wrong_fault_is_refused(emulator, api, fields):
    refused = api.post("/_emulator/faults", fields)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "invalid_request")
    with pytest.raises(InvalidValueError):
        emulator.add_fault(fields.get("kind"), **{k: v for k, v in fields.items() if k != "kind"})


def test_board_counts_the_calls_that_a_fault_has_left():
    board = FaultBoard()
    limited = board.add({"kind": "status", "times": 3, "skip": 1})
    endless = board.add({"kind": "html", "times": None, "path": "/other"})
    lefts = []
    for _ in range(3):
        lefts.append(board.left(limited))
        board.take("GET", "/billing/usage", is_page=False)
    assert (lefts, board.left(limited), board.left(endless)) == ([3, 3, 2], 1, None)
