"""
Defines the JSON format of a record.

A record outlives a release: one version of this package may begin a purchase and another one, newer or older, may
finish it. So formats only add fields:

- A field keeps its name and its meaning for as long as it exists.
- A field that gets another meaning gets another name, and the old name leaves the record. A version that needs the old
  name finds a required field missing. It stops, because it would misread the record.
- A version keeps the fields that it does not know and writes them again.

``format`` is the format of the version that wrote the record last. Format 0 had no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_videodb.api.parsing import TOO_LARGE, link
from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError, VideoDBResponseError

#: The format that this version writes.
FORMAT = 1
#: A POST takes fewer seconds than this, because a connection's timeout is an hour at most.
_LONGEST_POST = 3700

_LISTS = ("posts", "excluded_ids", "orphans", "notified", "paid")
_MAY_BE_NULL = ("currency", "account", "checkout_id", "id_source", "payment_url")
#: No decision about money uses these, so an older format may lack them.
_OPTIONAL: dict[str, Any] = {
    "format": 0,
    "balance_before": None,
    "notified": [],
    "paid_at": None,
    "action_max_tries": None,
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "generation": int,
    "amount": int,
    "key": str,
    "in_flight": (int, float),
    "ended": Mapping,
    "link_shared": bool,
    "format": int,
    "balance_before": (int, float, type(None)),
    "paid_at": (str, type(None)),
    "action_max_tries": (int, type(None)),
    **dict.fromkeys(_LISTS, (list, tuple)),
    **dict.fromkeys(_MAY_BE_NULL, (str, type(None))),
}


def unreadable_record(why: str) -> VideoDBPurchaseUnknownError:
    """Return the error for a record that says nothing reliable."""
    return VideoDBPurchaseUnknownError(
        f"The record of this purchase cannot be read, because {why[:200]}. So it is unknown what was bought. Nothing "
        "more was bought. Next step: look at the checkouts in VideoDB's console, then start a new DAG run to buy again."
    )


def fields_of(record: object) -> dict[str, Any]:
    """
    Return the fields of a record.

    Fields of a newer format are in ``unknown_fields``.

    A field that no version writes is an error, because an edit by hand must not count as a payment.

    :raises TypeError: if a field has another type.
    :raises ValueError: if a required field is missing or out of range.
    """
    if not isinstance(record, Mapping):
        raise TypeError(f"it is not a JSON object but {record!r}"[:200])
    fields = {**_OPTIONAL, **record}
    for name, types in _TYPES.items():
        if name not in fields:
            raise ValueError(f"{name} is missing")
        _require(fields[name], name, types)
    for name in _LISTS:
        for one in fields[name]:
            _require(one, f"an entry of {name}", str)
        fields[name] = tuple(fields[name])
    _check_figures(fields)
    _check_link(fields["payment_url"])
    for moment in (*fields["posts"], *([] if fields["paid_at"] is None else [fields["paid_at"]])):
        if datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError(f"{moment} has no time zone")
    unknown = {name: fields.pop(name) for name in list(fields) if name not in _TYPES}
    if dunder := [name for name in unknown if name.startswith("__")]:
        # Airflow's encoder would read such a name as the class of the whole record.
        raise ValueError(f"{dunder[0]} is not a field")
    del fields["format"]
    return {**fields, "ended": dict(fields["ended"]), "unknown_fields": unknown}


def _check_figures(fields: Mapping[str, Any]) -> None:
    for amount in (fields["amount"], *fields["ended"].values()):
        _require(amount, "an amount", int)
        if not 0 < amount < TOO_LARGE:
            raise ValueError(f"an amount is {amount!r}"[:200])
    # NaN is not within bounds either. Airflow could not store it in the result of the task.
    if not -TOO_LARGE < (fields["balance_before"] or 0) < TOO_LARGE:
        raise ValueError(f"balance_before is {fields['balance_before']!r}"[:200])
    if not 0 <= fields["in_flight"] <= _LONGEST_POST:
        raise ValueError(f"in_flight is {fields['in_flight']!r}"[:200])


def _check_link(url: str | None) -> None:
    """Refuse a link that does not lead to a web page."""
    try:
        if url is not None:
            link({"payment_url": url}, "payment_url")
    except VideoDBResponseError:
        raise ValueError("payment_url is not the address of a web page") from None


def _require(value: object, name: str, types: type | tuple[type, ...]) -> None:
    # JSON's true would pass for the number 1.
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise TypeError(f"{name} is {value!r}"[:200])
