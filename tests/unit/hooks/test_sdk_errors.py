"""Reading the errors of VideoDB's SDK, which differ in what they carry."""

from __future__ import annotations

import pytest
import requests
from videodb.exceptions import AuthenticationError, InvalidRequestError, SearchError

from airflow_provider_videodb.hooks import sdk_errors


def response(status=429, *, body=b'{"success": false}', method="POST", **headers):
    found = requests.Response()
    found.status_code, found._content = status, body
    found.headers.update(headers)
    found.request = requests.Request(method, "http://127.0.0.1").prepare()
    return found


def test_response_of_the_error_is_read():
    err = InvalidRequestError("slow down", response(Date="now"))
    assert sdk_errors.is_sdk_error(err)
    assert sdk_errors.status_of(err) == 429
    assert sdk_errors.method_of(err) == "POST"
    assert sdk_errors.header_of(err, "date") == "now"
    assert sdk_errors.body_of(err) == {"success": False}


@pytest.mark.parametrize("err", [SearchError("nothing"), AuthenticationError("no"), ValueError("mine")])
def test_error_without_a_response_says_nothing(err):
    readings = (sdk_errors.status_of, sdk_errors.method_of, sdk_errors.body_of)
    assert [read(err) for read in readings] == [None, None, None]
    assert sdk_errors.header_of(err, "Date") is None


def test_page_of_a_proxy_has_no_body():
    assert sdk_errors.body_of(InvalidRequestError("no", response(body=b"<html>"))) is None


@pytest.mark.parametrize(
    ("err", "is_one"),
    [
        (SearchError("nothing"), True),
        (requests.ConnectionError("lost"), False),
        (type("VideodbError", (Exception,), {})("mine"), False),
    ],
)
def test_error_of_the_sdk_is_known_by_its_class(err, is_one):
    assert sdk_errors.is_sdk_error(err) is is_one


@pytest.mark.parametrize(
    ("text", "status", "is_short"),
    [
        ("pay first", 402, True),
        ("Insufficient credits", 200, True),
        ("no speech found", 200, False),
        ('cannot draw "out of credits"', 400, False),
    ],
)
def test_shortage_is_known_by_status_or_words(text, status, is_short):
    assert sdk_errors.is_shortage(InvalidRequestError(text, response(status))) is is_short
