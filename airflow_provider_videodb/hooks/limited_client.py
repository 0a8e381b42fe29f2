"""The client that keeps the spending limits of a connection, for whoever buys without an operator."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.exceptions import VideoDBAPIError, VideoDBLimitExceededError
from airflow_provider_videodb.hooks.arguments import parse_dollars
from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW, DATE_STEP, SETTLING_TIME
from airflow_provider_videodb.purchases.rules.limits import (
    BETWEEN_LOOKS,
    LISTED_WITHIN,
    check_before_sharing_link,
    check_limits,
    check_per_purchase_limits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

log = logging.getLogger(__name__)


class LimitedBillingClient(BillingClient):
    """
    VideoDB's billing API, within the limits of a connection.

    Under a monthly limit, a purchase takes some seconds longer: once the checkout is made, its link is handed out
    when the list shows what was made at the same time, and only if the limit still holds.

    :param settings: the connection.
    :param max_retries: how many times a failed GET is tried again.
    """

    def __init__(self, settings: ConnectionSettings, *, max_retries: int) -> None:
        super().__init__(
            settings.api_key, base_url=settings.base_url, timeout=settings.timeout, max_retries=max_retries
        )
        self._limits = settings.limits

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
        Ask for a checkout over ``amount`` whole US dollars, within the limits.

        :raises VideoDBLimitExceededError: if a limit would be, or was, broken. No link was handed out.
        """
        amount = parse_dollars("amount", amount)
        ask = partial(
            super().topup,
            amount,
            currency=currency,
            redirect_url=redirect_url,
            idempotency_key=idempotency_key,
            before_send=before_send,
        )
        return self._within_limits(amount, currency, ask)

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
        Ask for a checkout of a payment or of a subscription; what has an ``amount`` keeps the limits.

        :raises VideoDBLimitExceededError: if a limit would be, or was, broken. No link was handed out.
        """
        if amount is not None or mode == "payment":
            amount = parse_dollars("amount", amount)
        ask = partial(
            super().create_checkout,
            amount,
            mode=mode,
            plan_id=plan_id,
            success_url=success_url,
            cancel_url=cancel_url,
            idempotency_key=idempotency_key,
        )
        return ask() if amount is None else self._within_limits(amount, None, ask)

    def _within_limits(self, amount: int, currency: str | None, ask: Callable[[], Checkout]) -> Checkout:
        check_per_purchase_limits(amount, self._limits, currency=currency)
        if self._limits.monthly_topup_limit is None:
            return ask()
        there_before = self.list_checkouts()
        asked_at = datetime.now(UTC)
        check_limits(amount, self._limits, checkouts=there_before, now=asked_at, currency=currency)
        checkout = ask()
        made = _Made(checkout=checkout, amount=amount, asked_at=asked_at, there_before=set(by_id(there_before)))
        try:
            found, checkouts = self._look_for(made)
        except VideoDBAPIError as err:
            raise VideoDBLimitExceededError(made.withheld(f"VideoDB's list could not be read: {err}")) from err
        # What the list has forgotten since may still be paid.
        shown = by_id(checkouts)
        forgotten = [entry for entry in there_before if entry.id not in shown]
        check_before_sharing_link(
            amount,
            self._limits,
            checkout_id=found.id,
            checkouts=[*checkouts, *forgotten],
            now=datetime.now(UTC),
            currency=currency,
        )
        return found

    def _look_for(self, made: _Made) -> tuple[Checkout, Sequence[Checkout]]:
        """Return the checkout with its id, and a list that shows it and whatever is earlier."""
        # As long as the operators wait. The wall clock may be set meanwhile, so it has no say in how long this takes.
        settles_in = SETTLING_TIME + DATE_STEP
        give_up = time.monotonic() + LISTED_WITHIN.total_seconds()
        log.info(
            "Looking at the list of checkouts in %.1f s, before the link is handed out.", settles_in.total_seconds()
        )
        time.sleep(settles_in.total_seconds())
        while True:
            checkouts = self.list_checkouts()
            possible = made.among(checkouts)
            if len(possible) == 1:
                return made.known_as(possible[0]), checkouts
            if len(possible) > 1:
                raise VideoDBLimitExceededError(
                    made.withheld(f"Which of {', '.join(str(one.id) for one in possible)} it is cannot be told.")
                )
            if time.monotonic() >= give_up:
                raise VideoDBLimitExceededError(made.withheld("VideoDB's list does not show it."))
            time.sleep(BETWEEN_LOOKS.total_seconds())


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A checkout that was just made, and how to know it in the list."""

    checkout: Checkout
    amount: int
    asked_at: datetime
    there_before: Collection[str]

    def among(self, checkouts: Sequence[Checkout]) -> list[Checkout]:
        """Return the entry of the list, or those it may be: VideoDB's answer may be a link without an id."""
        if self.checkout.id is not None:
            return [entry for entry in checkouts if entry.id == self.checkout.id]
        earliest, latest = self.asked_at - CLOCK_SKEW - DATE_STEP, datetime.now(UTC) + CLOCK_SKEW
        return [
            entry
            for entry in checkouts
            if entry.id not in self.there_before
            and entry.amount == self.amount
            and entry.created_at is not None
            and earliest <= entry.created_at <= latest
        ]

    def known_as(self, entry: Checkout) -> Checkout:
        """Return the checkout with the id of its entry in the list."""
        if self.checkout.id is not None:
            return self.checkout
        return replace(self.checkout, id=entry.id, id_source=entry.id_source)

    def withheld(self, why: str) -> str:
        """Say why the link is withheld, and what that means."""
        name = "A checkout" if self.checkout.id is None else f"Checkout {self.checkout.id}"
        return (
            f"{name} over {self.amount} USD was made, but monthly_topup_limit could not be checked again, so its link "
            f"is withheld: it stays unpaid and expires by itself. {why} If the VideoDB account charges a stored card, "
            "it may have been charged. Next step: look for it in VideoDB's console, then buy again."
        )
