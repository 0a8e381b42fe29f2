"""Where a payer arrives if the task names no page."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.links.paid_page import paid_page


@pytest.mark.parametrize(
    ("base_url", "page"),
    [
        ("https://airflow.example.com", "https://airflow.example.com/videodb/paid"),
        ("https://example.com/airflow/", "https://example.com/airflow/videodb/paid"),
        ("http://localhost:8080", "http://localhost:8080/videodb/paid"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/videodb/paid"),
    ],
)
def test_page_lies_below_the_base_url(base_url: str, page: str) -> None:
    assert paid_page(base_url) == page


@pytest.mark.parametrize(
    "base_url",
    [
        *(None, "", "airflow.example.com", "ftp://example.com", "javascript:alert(1)"),
        *("https://user:pass@example.com", "https://example.com/?next=1", "https://example.com/#x", "https:// x"),
        # Whether VideoDB accepts it is not documented, and a refused address would refuse the purchase.
        "http://airflow.example.com",
    ],
)
def test_doubtful_address_is_not_sent(base_url: str | None) -> None:
    assert paid_page(base_url) is None
