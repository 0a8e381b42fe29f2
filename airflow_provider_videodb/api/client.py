"""The seven billing calls of VideoDB, both of its documents' dialects read and written. No Airflow here."""

from __future__ import annotations

import re
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
from airflow_provider_videodb.api.parsing import to_decimal, to_json_number
from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBConfigError,
    VideoDBSettingsNotAppliedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from decimal import Decimal

DEFAULT_BASE_URL = "https://api.videodb.io"
DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRIES = 3

_PAGE_SIZE = 100
#: From this age on, a checkout that VideoDB calls expired stays so: its life, and what two clocks may differ by.
_FINAL_AGE = CHECKOUT_LIFETIME + timedelta(minutes=10)

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
        self._whole_list: dict[Hashable, Checkout] = {}

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
        return self._transport.get("/billing/usage", lambda answer: Usage.from_api(unwrapped(answer)))

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
        shown = first_page.entries
        rest = {key: checkout for key, checkout in self._whole_list.items() if key not in shown}
        # Only in a list that begins with the newest does the first page show whatever was added.
        nothing_added = len(shown) + len(rest) == len(self._whole_list) and begins_with_newest(shown.values())
        if nothing_added and all(_is_final(checkout) for checkout in rest.values()):
            return newest_first([*shown.values(), *rest.values()])
        self._whole_list = whole_list(
            first_page, lambda offset: self._page(path, sample_name, Checkout.from_list, offset), what=path
        )
        return newest_first(self._whole_list.values())

    def list_invoices(self, limit: int | None = None) -> list[Invoice]:
        """Return the newest ``limit`` invoices (default: all), newest first."""
        return self._list("/billing/invoices", "invoices", Invoice.from_api, limit)

    def get_auto_recharge(self) -> AutoRecharge:
        """Return the settings of automatic recharge."""
        return self._transport.get("/billing/auto_recharge", lambda answer: AutoRecharge.from_api(unwrapped(answer)))

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
            name: to_json_number(require_credits(name, value)) for name, value in figures.items() if value is not None
        }
        # The OpenAPI part and the sample code of the page name the two figures differently: both are sent.
        sample_names = {"threshold": "threshold_credits", "amount": "recharge_amount"}
        payload = wanted | {sample_names[name]: value for name, value in wanted.items() if name in sample_names}
        lost_answer: VideoDBAPIError | None = None
        try:
            self._transport.post("/billing/auto_recharge", dict, payload=payload)
        except OUTCOME_UNKNOWN_ERRORS as err:
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

    def _ask_for_checkout(
        self,
        path: str,
        payload: Mapping[str, Any],
        idempotency_key: str | None,
        before_send: Callable[[], None] | None = None,
    ) -> Checkout:
        if idempotency_key is not None and not re.fullmatch(r"[\x21-\x7e]+", idempotency_key):
            raise VideoDBConfigError("idempotency_key is sent as a header: it must be ASCII without spaces.")
        return self._transport.post(
            path,
            lambda answer: Checkout.from_created(
                unwrapped(answer), amount=payload["amount"], currency=payload.get("currency")
            ),
            payload={name: value for name, value in payload.items() if value is not None},
            headers={"Idempotency-Key": idempotency_key or uuid4().hex},
            before_send=before_send,
        )

    def _list(self, path: str, sample_name: str, read: Callable[[object], _Entry], limit: int | None) -> list[_Entry]:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise VideoDBConfigError(f"limit is {limit!r}; it must be a whole number above zero, or None.")
        first_page = self._page(path, sample_name, read, 0)
        entries = whole_list(first_page, lambda offset: self._page(path, sample_name, read, offset), what=path)
        return newest_first(entries.values())[:limit]

    def _page(self, path: str, sample_name: str, read: Callable[[object], _Entry], offset: int) -> Page[_Entry]:
        return self._transport.get(
            path,
            lambda answer: page_of(items_of(answer, sample_name), read),
            params={"limit": _PAGE_SIZE, "offset": offset},
        )


def require_whole_dollars(amount: object) -> None:
    """
    Refuse an amount that VideoDB cannot be asked for.

    :raises VideoDBConfigError: if it is not a whole number above zero.
    """
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 1:
        raise VideoDBConfigError(
            f"amount is {amount!r}; it must be a whole number of US dollars above zero. Nothing was sent."
        )


def require_credits(name: str, value: object) -> Decimal:
    """
    Refuse a number of credits that VideoDB cannot be asked for.

    :raises VideoDBConfigError: if it is not a number, zero or more.
    """
    try:
        number = to_decimal(value)
    except ValueError:
        number = None
    if number is None or number < 0:
        raise VideoDBConfigError(
            f"{name} is {str(value)[:200]!r}; it must be a number of credits, zero or more. Nothing was sent."
        )
    return number


def _is_final(checkout: Checkout) -> bool:
    """Say whether the state of a checkout cannot change any more."""
    if checkout.status == CheckoutStatus.COMPLETED:
        return True
    made_at = checkout.created_at
    return (
        checkout.status == CheckoutStatus.EXPIRED and made_at is not None and datetime.now(UTC) - made_at >= _FINAL_AGE
    )
