"""Checks the key, and the addresses to which we send the key or a person. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from airflow_provider_videodb.exceptions import VideoDBConfigError

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?", re.IGNORECASE)
#: Spaces, backslashes, which a browser treats as slashes, and the replacement for a lost character.
_MISLEADING = re.compile("[ \\\\\ufffd]")


def check_api_key(api_key: str) -> str:
    """
    Return a key that an HTTP header can carry.

    ``http.client`` quotes a malformed header value in its error, and with it the key.

    :raises VideoDBConfigError: if the key is empty or has a character that a header cannot carry.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", api_key):
        raise VideoDBConfigError(
            "The API key (the connection's password) is empty or contains a space, a line break or a character "
            "outside ASCII. Nothing was sent. Next step: copy the key again from VideoDB's console."
        )
    return api_key


def check_base_url(base_url: str) -> str:
    """
    Return ``base_url`` without a trailing slash.

    :raises VideoDBConfigError: if the key may not be sent to this address.
    """
    try:
        parts = urlsplit(base_url)
        # Reading the port raises if it is not a number.
        usable = bool(parts.hostname) and parts.port != 0 and parts.scheme in ("http", "https")
    except ValueError:
        usable = False
    # Search the whole text, because urlsplit ignores an empty query and drops line breaks.
    if not usable or "@" in parts.netloc or re.search(r"[?#\\\s]", base_url):
        raise VideoDBConfigError(
            f"The base URL (the connection's host) is {_without_secrets(base_url)!r}. It must have a scheme and a host "
            "and no user, space, query or fragment. Nothing was sent. Next step: enter an address such as "
            "https://api.videodb.io. In a connection that is written as a URI, percent-encode it:\n"
            "videodb://:API_KEY@https%3A%2F%2Fapi.videodb.io"
        )
    if parts.scheme == "http" and not is_loopback(base_url):
        raise VideoDBConfigError(
            f"The base URL (the connection's host) is {base_url!r}. http:// is allowed for a loopback host only, "
            "because it would send the API key in clear text. Nothing was sent. Next step: use https://."
        )
    return base_url.rstrip("/")


def _without_secrets(url: str) -> str:
    """Hide what precedes an ``@`` and what follows a ``?`` or ``#``, which may be a password or a token."""
    without_user = re.sub(r"^(\w+://)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"([?#]).+", r"\1***", without_user, flags=re.DOTALL)[:200]


def is_loopback(base_url: str) -> bool:
    """Say whether a URL points to this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_web_address(value: str) -> bool:
    """
    Say whether a text is the address of a web page.

    It begins with ``https://`` or ``http://``. It has no user before the host, no space, no backslash and no character
    that cannot be printed, because each of these can hide where a link leads.
    """
    try:
        parts = urlsplit(value)
        # Reading the port raises if it is not a number.
        usable = parts.scheme in ("http", "https") and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:
        return False
    return usable and "@" not in parts.netloc and value.isprintable() and not _MISLEADING.search(value)


def _is_host(host: str) -> bool:
    # urlsplit has checked the brackets of an IPv6 address and removed them.
    return ":" in host or _HOST.fullmatch(host.encode("idna").decode()) is not None
