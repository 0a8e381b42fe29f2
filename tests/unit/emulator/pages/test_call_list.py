"""The list of all calls."""

from __future__ import annotations

import requests


def test_list_names_each_call_once_with_what_it_does(emulator):
    page = requests.get(f"{emulator.base_url}/_emulator/docs", timeout=60).text
    for path in ("/billing/topup", "/video/{video_id}/index", "/_emulator/checkouts/{checkout_id}/pay", "/health"):
        assert page.count(f"<code>{path}</code>") == (2 if path.endswith("/index") else 1), path
    assert "Pay a checkout." in page
    assert "Move emulator time forward by <code>seconds</code>." in page
    assert "`" not in page
    assert "/_emulator/page/" not in page.replace("/_emulator/page/refresh.js", "")
    assert emulator.api_key not in page
