"""Says where VideoDB sends the payer afterwards. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_provider_videodb.api.urls import is_loopback, is_web_address

#: The path of the page that the API server shows to everybody.
PAID_PATH = "/videodb/paid"


def paid_page(base_url: str | None) -> str | None:
    """
    Return the address of the confirmation page.

    VideoDB does not document which addresses it accepts. With another one, it would refuse the purchase. So this uses
    only addresses that any payment service accepts: ``https://``, or ``http://`` for a browser on the same machine.

    :param base_url: ``[api] base_url`` of Airflow.
    :return: ``None`` if Airflow has no such address.
    """
    if not base_url or not is_web_address(base_url):
        return None
    parts = urlsplit(base_url)
    if parts.query or parts.fragment or (parts.scheme == "http" and not is_loopback(base_url)):
        return None
    return base_url.rstrip("/") + PAID_PATH
