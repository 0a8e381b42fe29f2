"""Calls of the transport and the client, for tests of the API."""

from __future__ import annotations

import socket

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.exceptions import VideoDBAPIError
from tests.conftest import API_KEY
from tests.support.raw_server import raw_response

LINK = raw_response({"success": True, "data": {"url": "https://pay.example/cs_1"}})
OK = raw_response({"success": True, "data": {}})


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


def client_of(server, **options):
    return BillingClient(API_KEY, base_url=server.url, max_retries=0, **options)
