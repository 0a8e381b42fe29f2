"""A key in the wrong field of a connection is in no error text."""

from __future__ import annotations

import json

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError
from tests.support.leaks import Scanner

KEY = "sk-7d1f\"<0c93e4a8\\&51b6f2'%7e0d9c+84a1/="
BASE = {"conn_type": "videodb", "password": KEY}
MISPLACED = {
    "schema": BASE | {"schema": KEY},
    "number": BASE | {"extra": {"timeout": KEY}},
    "number in a list": BASE | {"extra": {"max_retries": ["x" * 20, KEY]}},
    "field name": BASE | {"extra": {KEY: 1}},
    "account": BASE | {"extra": {"credit_account": KEY}},
    "account in a list": BASE | {"extra": {"credit_account": [KEY]}},
    "user of the host": BASE | {"host": f"https://user:{KEY}@127.0.0.1"},
    "path of the host": BASE | {"host": "https://127.0.0.1/" + KEY.replace("\\", "%5C").replace("<", "%3C")},
    "query of the host": BASE | {"host": f"https://127.0.0.1/?key={KEY}"},
    "type": BASE | {"conn_type": "sk-0123456789abcdef"},
    "cut": BASE | {"extra": {"timeout": "x" * 60 + KEY}},
    "another key": BASE | {"extra": {"timeout": "sk-0123456789abcdef"}},
    "broken extra": BASE | {"extra": f'{{"timeout": "{KEY}'},
}


@pytest.mark.parametrize("fields", MISPLACED.values(), ids=MISPLACED)
def test_misplaced_key_is_refused_without_showing_it(connect, fields):
    with pytest.raises(VideoDBConfigError) as caught:
        _ = connect(json.dumps(fields)).settings
    text = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    assert Scanner(KEY).found_in(text.encode(), piece=8) is None
    assert "0123456789abcdef" not in text
    assert text.count("Next step: ") == 2


def test_example_of_a_key_in_an_error_stays(connect):
    with pytest.raises(VideoDBConfigError, match=r"enter VideoDB's API key \(sk-…\)"):
        _ = connect(json.dumps({"conn_type": "videodb"})).settings


@pytest.mark.parametrize("key", ["videodb", "127.0", "default"])
def test_key_as_short_as_a_name_is_no_leak(connect, key):
    hook = connect(json.dumps({"conn_type": "videodb", "password": key, "host": "http://127.0.0.1:1"}))
    assert hook.settings.api_key == key
