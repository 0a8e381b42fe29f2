"""
The seven billing calls of VideoDB.

VideoDB documents two dialects of each call. The client reads both and writes what both understand.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import uuid4

from airflow_provider_videodb import __version__
from airflow_provider_videodb.api.envelope import (
    Page,
    begins_with_newest,
    items_of,
    newest_first,
    page_of,
    unwrapped,
    whole_list,
)
from airflow_provider_videodb.api.models import (
    CHECKOUT_LIFETIME,
    AutoRecharge,
    Checkout,
    CheckoutStatus,
    Invoice,
    Usage,
)
from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBConfigError,
    VideoDBResponseError,
    VideoDBSettingsNotAppliedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from decimal import Decimal

DEFAULT_BASE_URL = "https://api.videodb.io"
DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRIES = 3

_PAGE_SIZE = 100
#: Seconds for all pages of a list. A server that adds an entry to each page could otherwise hold a worker for hours.
_MAX_LIST_SECONDS = 600.0
#: From this age on, an expired checkout stays expired. It is the lifetime plus the difference of two clocks.
_FINAL_AGE = CHECKOUT_LIFETIME + timedelta(minutes=10)

_Entry = TypeVar("_Entry", Checkout, Invoice)


class BillingClient:
    """
    VideoDB's billing API.

    A call that fails raises a :class:`VideoDBAPIError`. Its class says what is known of the outcome. A failed GET is
    retried while that can help. A POST is sent exactly once.

    The client sends numbers as they are. The hooks check what people enter.

    :param api_key: the account's API key.
    :param base_url: VideoDB's address; ``http://`` only for a loopback host.
    :param timeout: seconds in which the whole response has to arrive.
    :param max_retries: how often a failed GET is retried.
    :raises VideoDBConfigError: if the key or the address cannot be used. Nothing was sent.
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
        # The last list that was read to its end.
        self._whole_list: dict[Hashable, Checkout] = {}

    def __repr__(self) -> str:
        return f"<BillingClient {self.base_url}>"

    @property
    def base_url(self) -> str:
        """VideoDB's address."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections to VideoDB."""
        self._transport.close()

    def get_usage(self) -> Usage:
        """
        Return balance and consumption, in credits.

        VideoDB documents that these figures can be 5 to 15 minutes late.
        """
        return self._transport.get("/billing/usage", lambda response: Usage.from_api(unwrapped(response)))

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
        Create a checkout. A person pays it at its ``url``.

        :param amount: whole US dollars.
        :param currency: sent unchanged. VideoDB documents only ``usd``.
        :param redirect_url: the page that the person sees after paying.
        :param idempotency_key: the same for every try of one purchase; random by default. VideoDB does not document
            such a key, so nothing relies on it.
        :param before_send: called right before the request is written. If it raises, nothing is sent.
        """
        payload = {"amount": amount, "currency": currency, "redirect_url": redirect_url}
        return self._ask_for_checkout("/billing/topup", payload, idempotency_key, before_send)

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
        Create a checkout for a payment or a subscription.

        :param amount: whole US dollars of a payment.
        :param mode: ``payment`` needs an ``amount``, ``subscription`` needs a ``plan_id``.
        :param success_url: the page that the person sees after paying.
        :param cancel_url: the page that the person sees after cancelling.
        :param idempotency_key: see :meth:`topup`.
        :raises VideoDBConfigError: if ``mode`` is another word or what it needs is missing. Nothing was sent.
        """
        needs = {"payment": ("amount", amount), "subscription": ("plan_id", plan_id)}
        if mode not in needs:
            raise VideoDBConfigError(
                f"mode is {mode!r}; it must be 'payment' or 'subscription'. Nothing was sent. Next step: correct it."
            )
        name, value = needs[mode]
        if not value:
            raise VideoDBConfigError(f"mode is {mode!r}, which needs {name}. Nothing was sent. Next step: add {name}.")
        payload = {
            "mode": mode,
            "plan_id": plan_id,
            "amount": amount,
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        return self._ask_for_checkout("/billing/checkout", payload, idempotency_key)

    def list_checkouts(self, limit: int | None = None) -> list[Checkout]:
        """Return the newest ``limit`` checkouts, or all of them, newest first."""
        return self._list("/billing/checkouts", "checkouts", Checkout.from_list, limit)

    def poll_checkouts(self) -> list[Checkout]:
        """
        Return all checkouts, newest first, with few calls.

        The first poll reads the list to its end. A later poll reads only the first page if nothing was added since,
        and if no checkout beyond that page can still be paid. Code that decides about money calls
        :meth:`list_checkouts`, which always reads to the end.
        """
        path, sample_name = "/billing/checkouts", "checkouts"
        first_page = self._page(path, sample_name, Checkout.from_list, 0)
        shown = first_page.entries
        rest = {key: checkout for key, checkout in self._whole_list.items() if key not in shown}
        # The first page shows every new entry only if the list begins with the newest.
        nothing_added = len(shown) + len(rest) == len(self._whole_list) and begins_with_newest(shown.values())
        if nothing_added and all(_is_final(checkout) for checkout in rest.values()):
            return newest_first([*shown.values(), *rest.values()])
        self._whole_list = self._whole(first_page, path, sample_name, Checkout.from_list)
        return newest_first(self._whole_list.values())

    def list_invoices(self, limit: int | None = None) -> list[Invoice]:
        """Return the newest ``limit`` invoices, or all of them, newest first."""
        return self._list("/billing/invoices", "invoices", Invoice.from_api, limit)

    def get_auto_recharge(self) -> AutoRecharge:
        """Return the settings of automatic recharge."""
        return self._transport.get(
            "/billing/auto_recharge", lambda response: AutoRecharge.from_api(unwrapped(response))
        )

    def set_auto_recharge(
        self, *, enabled: bool, threshold: Decimal | None = None, amount: Decimal | None = None
    ) -> AutoRecharge:
        """
        Change the settings, read them back and return them.

        :param threshold: VideoDB recharges below this number of credits; ``None`` keeps it.
        :param amount: VideoDB adds this number of credits; ``None`` keeps it.
        :raises VideoDBSettingsNotAppliedError: if VideoDB afterwards returns other settings.
        """
        figures = {"threshold": threshold, "amount": amount}
        wanted = {"enabled": enabled} | {
            name: to_json_number(value) for name, value in figures.items() if value is not None
        }
        # The two dialects use different names for the two figures. Both names are sent.
        sample_names = {"threshold": "threshold_credits", "amount": "recharge_amount"}
        payload = wanted | {sample_names[name]: value for name, value in wanted.items() if name in sample_names}
        response_lost: VideoDBAPIError | None = None
        try:
            self._transport.post("/billing/auto_recharge", dict, payload=payload)
        except OUTCOME_UNKNOWN_ERRORS as err:
            # Whether the settings took effect is read below, with or without a response.
            response_lost = err
        found = self.get_auto_recharge()
        differing = [name for name, value in wanted.items() if found.to_dict()[name] != value]
        if differing:
            raise VideoDBSettingsNotAppliedError(
                f"VideoDB did not apply these settings of automatic recharge: {', '.join(differing)}. Sent: {wanted}. "
                f"VideoDB now has: {found.to_dict()}. Next step: check the account's payment method in VideoDB's "
                "console, then try again."
            ) from response_lost
        return found

    def _ask_for_checkout(
        self,
        path: str,
        payload: Mapping[str, Any],
        idempotency_key: str | None,
        before_send: Callable[[], None] | None = None,
    ) -> Checkout:
        if idempotency_key is not None and not re.fullmatch(r"[\x21-\x7e]+", idempotency_key):
            raise VideoDBConfigError(
                f"idempotency_key is {idempotency_key[:80]!r}; it must be ASCII without spaces, because it is sent as "
                "a header. Nothing was sent. Next step: choose another key."
            )
        return self._transport.post(
            path,
            lambda response: Checkout.from_created(
                unwrapped(response), amount=payload["amount"], currency=payload.get("currency")
            ),
            payload={name: value for name, value in payload.items() if value is not None},
            headers={"Idempotency-Key": idempotency_key or uuid4().hex},
            before_send=before_send,
        )

    def _list(self, path: str, sample_name: str, read: Callable[[object], _Entry], limit: int | None) -> list[_Entry]:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise VideoDBConfigError(
                f"limit is {limit!r}; it must be a whole number above 0, or None. Nothing was sent. "
                "Next step: correct it."
            )
        entries = self._whole(self._page(path, sample_name, read, 0), path, sample_name, read)
        return newest_first(entries.values())[:limit]

    def _whole(
        self, first_page: Page[_Entry], path: str, sample_name: str, read: Callable[[object], _Entry]
    ) -> dict[Hashable, _Entry]:
        ends = time.monotonic() + _MAX_LIST_SECONDS

        def page_at(offset: int) -> Page[_Entry]:
            if time.monotonic() > ends:
                raise VideoDBResponseError(
                    f"GET {path} did not show its whole list within {_MAX_LIST_SECONDS:g} s. "
                    "Next step: try again later, or ask VideoDB's support about paging."
                )
            return self._page(path, sample_name, read, offset)

        return whole_list(first_page, page_at, what=path)

    def _page(self, path: str, sample_name: str, read: Callable[[object], _Entry], offset: int) -> Page[_Entry]:
        return self._transport.get(
            path,
            lambda response: page_of(items_of(response, sample_name), read),
            params={"limit": _PAGE_SIZE, "offset": offset},
        )


def _is_final(checkout: Checkout) -> bool:
    """Say whether the state of a checkout can no longer change."""
    if checkout.status == CheckoutStatus.COMPLETED:
        return True
    made_at = checkout.created_at
    return (
        checkout.status == CheckoutStatus.EXPIRED and made_at is not None and datetime.now(UTC) - made_at >= _FINAL_AGE
    )
