"""The seven billing calls of VideoDB, both of its documents' dialects read and written. No Airflow here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import uuid4

from airflow_provider_videodb import __version__
from airflow_provider_videodb.arguments import credits_argument
from airflow_provider_videodb.exceptions import (
    ANSWER_LOST_ERRORS,
    VideoDBAPIError,
    VideoDBConfigError,
    VideoDBResponseError,
    VideoDBSettingsNotAppliedError,
)
from airflow_provider_videodb.fields import to_json_number, unreadable
from airflow_provider_videodb.models import AutoRecharge, Checkout, CheckoutStatus, Invoice, Usage
from airflow_provider_videodb.transport import Transport

if TYPE_CHECKING:
    from decimal import Decimal

DEFAULT_BASE_URL = "https://api.videodb.io"
DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRIES = 3

_PAGE_SIZE = 100
#: A list that has not ended by then is not ending.
_MAX_PAGES = 1000
#: So many pages in a row without a new entry are the end of a list, though none was empty.
_NOTHING_NEW = 2
#: States of a checkout that do not change any more.
_FINAL = (CheckoutStatus.COMPLETED, CheckoutStatus.EXPIRED)
_EPOCH = datetime.fromtimestamp(0, UTC)

_Entry = TypeVar("_Entry", Checkout, Invoice)


class BillingClient:
    """
    VideoDB's billing API.

    Every call raises a :class:`VideoDBAPIError` whose class says what is known of the outcome. A GET is tried
    again where that can help; a POST is sent exactly once.

    :param api_key: the account's API key.
    :param base_url: where VideoDB is; ``http://`` only for a loopback host.
    :param timeout: seconds to wait for an answer, until its last byte.
    :param max_retries: how many times a failed GET is tried again.
    :raises VideoDBConfigError: if key or address cannot be used. Nothing was sent.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
    ) -> None:
        self._transport = Transport(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            user_agent=f"airflow-provider-videodb/{__version__}",
        )
        # What the last look saw that made sure of the end of the list.
        self._whole_list: list[Checkout] = []

    def __repr__(self) -> str:
        return f"<BillingClient {self.base_url}>"

    @property
    def base_url(self) -> str:
        """Where this client sends its calls."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections to VideoDB."""
        self._transport.close()

    def get_usage(self) -> Usage:
        """Return balance and consumption. VideoDB's documents: the figures can lag 5 to 15 minutes."""
        return self._transport.get("/billing/usage", lambda answer: Usage.from_api(_unwrapped(answer)))

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> Checkout:
        """
        Ask for a checkout over ``amount`` whole US dollars. A person pays it at the returned ``url``.

        :param currency: sent as it is; VideoDB's documents show ``usd`` and name no other.
        :param redirect_url: where the person lands after paying.
        :param idempotency_key: the same for every try of one purchase; made up if not given. VideoDB documents
            no such key, so nothing relies on it.
        :param before_send: called right before the request is written. If it raises, nothing is sent.
        :raises VideoDBConfigError: if ``amount`` is not a whole number above zero. Nothing was sent.
        """
        require_whole_dollars(amount)
        payload = {"amount": amount, "currency": currency, "redirect_url": redirect_url}
        if before_send is not None:
            before_send()
        return self._ask_for_checkout("/billing/topup", payload, idempotency_key)

    def create_checkout(
        self,
        amount: int | None = None,
        *,
        mode: Literal["payment", "subscription"] = "payment",
        plan_id: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Checkout:
        """
        Ask for a checkout of a payment (of ``amount`` whole US dollars) or of a subscription (to ``plan_id``).

        :param success_url: where the person lands after paying.
        :param cancel_url: where the person lands after turning back.
        :param idempotency_key: as for :meth:`topup`.
        :raises VideoDBConfigError: if the arguments do not make one of the two. Nothing was sent.
        """
        if mode not in ("payment", "subscription"):
            raise VideoDBConfigError(f"mode is {mode!r}; it must be 'payment' or 'subscription'.")
        if mode == "subscription" and not plan_id:
            raise VideoDBConfigError("mode is 'subscription', which needs a plan_id.")
        if mode == "payment" or amount is not None:
            require_whole_dollars(amount)
        payload = {
            "mode": mode,
            "plan_id": plan_id,
            "amount": amount,
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        return self._ask_for_checkout("/billing/checkout", payload, idempotency_key)

    def list_checkouts(self, limit: int | None = None) -> list[Checkout]:
        """Return the newest ``limit`` checkouts (default: all), newest first, abandoned ones included."""
        return self._list("/billing/checkouts", "checkouts", Checkout.from_list, limit)

    def poll_checkouts(self) -> list[Checkout]:
        """
        Return all checkouts, newest first, for somebody who looks again and again.

        Takes one call where nothing was added since the last look that made sure of the end of the list, unless some
        of what is beyond the first page can still be paid. What decides over money calls :meth:`list_checkouts`,
        which always makes sure.
        """
        path, sample_name = "/billing/checkouts", "checkouts"
        first_page = self._page(path, sample_name, Checkout.from_list, 0)
        shown = {checkout.id for checkout in first_page}
        rest = [checkout for checkout in self._whole_list if checkout.id not in shown]
        # Only in a list that begins with the newest does the first page show whatever was added.
        nothing_added = len(shown) + len(rest) == len(self._whole_list) and first_page == _newest_first(first_page)
        if nothing_added and all(checkout.status in _FINAL for checkout in rest):
            return [*first_page, *rest]
        self._whole_list = self._list(path, sample_name, Checkout.from_list, None, first_page=first_page)
        return self._whole_list

    def list_invoices(self, limit: int | None = None) -> list[Invoice]:
        """Return the newest ``limit`` invoices (default: all), newest first."""
        return self._list("/billing/invoices", "invoices", Invoice.from_api, limit)

    def get_auto_recharge(self) -> AutoRecharge:
        """Return the settings of automatic recharge."""
        return self._transport.get("/billing/auto_recharge", lambda answer: AutoRecharge.from_api(_unwrapped(answer)))

    def set_auto_recharge(
        self, *, enabled: bool, threshold: Decimal | None = None, amount: Decimal | None = None
    ) -> AutoRecharge:
        """
        Write settings, read them back and return what VideoDB now says.

        :param threshold: credits below which VideoDB recharges; left as it is if ``None``.
        :param amount: credits that VideoDB adds; left as it is if ``None``.
        :raises VideoDBConfigError: if a figure is negative or no number. Nothing was sent.
        :raises VideoDBSettingsNotAppliedError: if what was read back is not what was written.
        """
        if not isinstance(enabled, bool):
            raise VideoDBConfigError(f"enabled is {enabled!r}; it must be True or False. Nothing was sent.")
        figures = {"threshold": threshold, "amount": amount}
        wanted = {"enabled": enabled} | {
            name: to_json_number(credits_argument(name, value)) for name, value in figures.items() if value is not None
        }
        # The OpenAPI part and the sample code of the page name the two figures differently: both are sent.
        sample_names = {"threshold": "threshold_credits", "amount": "recharge_amount"}
        payload = wanted | {sample_names[name]: value for name, value in wanted.items() if name in sample_names}
        lost_answer: VideoDBAPIError | None = None
        try:
            self._transport.post("/billing/auto_recharge", dict, payload=payload)
        except ANSWER_LOST_ERRORS as err:
            # Whether the settings took effect is read below, with or without an answer.
            lost_answer = err
        found = self.get_auto_recharge()
        differing = [name for name, value in wanted.items() if found.to_dict()[name] != value]
        if differing:
            raise VideoDBSettingsNotAppliedError(
                f"VideoDB was asked to set auto-recharge to {wanted} and afterwards says {found.to_dict()}: "
                f"{', '.join(differing)} did not take effect. Check that the account has a payment method, "
                "then try again."
            ) from lost_answer
        return found

    def _ask_for_checkout(self, path: str, payload: Mapping[str, Any], idempotency_key: str | None) -> Checkout:
        if idempotency_key is not None and not re.fullmatch(r"[\x21-\x7e]+", idempotency_key):
            raise VideoDBConfigError("idempotency_key is sent as a header: it must be ASCII without spaces.")
        return self._transport.post(
            path,
            lambda answer: Checkout.from_created(
                _unwrapped(answer), amount=payload["amount"], currency=payload.get("currency")
            ),
            payload={name: value for name, value in payload.items() if value is not None},
            headers={"Idempotency-Key": idempotency_key or uuid4().hex},
        )

    def _list(
        self,
        path: str,
        sample_name: str,
        read: Callable[[Mapping[str, Any]], _Entry],
        limit: int | None,
        *,
        first_page: list[_Entry] | None = None,
    ) -> list[_Entry]:
        """
        Read a whole list, page by page.

        The order is not documented, so only the whole list tells which entries are the newest. Neither is the
        largest page: one shorter than asked for is no proof of the end, one with nothing new is.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise VideoDBConfigError(f"limit is {limit!r}; it must be a whole number above zero, or None.")
        # By id, since a list that grows while it is read shows entries again.
        entries: dict[str | None, _Entry] = {}
        offset, nothing_new = 0, 0
        for _ in range(_MAX_PAGES):
            page = self._page(path, sample_name, read, offset) if first_page is None else first_page
            first_page = None
            # A page of nothing but known entries is what is left to read of a list that grew by as many as a page
            # holds; a second one is a server that ignores the offset.
            nothing_new = nothing_new + 1 if all(entry.id in entries for entry in page) else 0
            entries.update((entry.id, entry) for entry in page)
            offset += len(page)
            if not page or nothing_new == _NOTHING_NEW:
                break
        else:
            raise VideoDBResponseError(f"GET {path} still shows new entries after {_MAX_PAGES} pages.")
        return _newest_first(entries.values())[:limit]

    def _page(
        self, path: str, sample_name: str, read: Callable[[Mapping[str, Any]], _Entry], offset: int
    ) -> list[_Entry]:
        return self._transport.get(
            path,
            lambda answer: [read(item) for item in _items(answer, sample_name)],
            params={"limit": _PAGE_SIZE, "offset": offset},
        )


def _newest_first(entries: Iterable[_Entry]) -> list[_Entry]:
    return sorted(entries, key=lambda entry: entry.created_at or _EPOCH, reverse=True)


def require_whole_dollars(amount: object) -> None:
    """
    Refuse an amount that VideoDB cannot be asked for.

    :raises VideoDBConfigError: if it is not a whole number above zero.
    """
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 1:
        raise VideoDBConfigError(
            f"amount is {amount!r}; it must be a whole number of US dollars above zero. Nothing was sent."
        )


def _unwrapped(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object that carries the fields: ``data`` in one dialect, the answer itself in the other."""
    data = answer.get("data")
    if data is None:
        return answer
    if not isinstance(data, Mapping):
        raise unreadable("data", data, "an object")
    return data


def _items(answer: Mapping[str, Any], sample_name: str) -> list[Mapping[str, Any]]:
    """Return the entries of a list: ``data`` in one dialect, a field named after them in the other."""
    data = answer.get("data")
    items = data if isinstance(data, list) else _unwrapped(answer).get(sample_name)
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise unreadable(f"data / {sample_name}", items, "a list of objects")
    return items
