"""Buys within the spending limits of a connection, without an operator."""

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
from airflow_provider_videodb.purchases.rules.approval import check_approved, check_unpriced
from airflow_provider_videodb.purchases.rules.approval_record import Approval
from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW, DATE_STEP, LIST_LAG, describe_checkout
from airflow_provider_videodb.purchases.rules.limits import (
    LIST_POLL_INTERVAL,
    MAX_LIST_LAG,
    check_before_sharing_link,
    check_limits,
    check_per_purchase_limits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from decimal import Decimal

    from airflow_provider_videodb.api.models import AutoRecharge, Checkout
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

log = logging.getLogger(__name__)


class LimitedBillingClient(BillingClient):
    """
    Calls VideoDB's billing API within the limits of a connection.

    Under a monthly limit a purchase takes some seconds longer. After the checkout is made, the client waits until the
    list shows what others made at the same time. It returns the link only if the limit still holds.

    A purchase that a person has to approve is refused, because only the operators can ask.

    :param settings: the connection.
    :param max_retries: how often a failed GET is retried.
    """

    def __init__(self, settings: ConnectionSettings, *, max_retries: int) -> None:
        super().__init__(
            settings.api_key, base_url=settings.base_url, timeout=settings.timeout, max_retries=max_retries
        )
        self._limits = settings.limits
        self._policy = settings.approval_policy

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
        Ask for a checkout within the limits.

        :param amount: whole US dollars.
        :raises VideoDBLimitExceededError: if a limit would be broken, or was. No link is returned.
        :raises VideoDBApprovalMissingError: if a person has to approve it. Nothing was sent.
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
        Ask for a checkout of a payment or a subscription.

        The limits apply to a checkout with an amount, in whole US dollars.

        :raises VideoDBLimitExceededError: if a limit would be broken, or was. No link is returned.
        :raises VideoDBApprovalMissingError: if a person has to approve it. Nothing was sent. Nobody knows the price of
            a subscription, so each one is refused if the connection has ``approval_above``.
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
        if amount is not None:
            return self._within_limits(amount, None, ask)
        check_unpriced("A subscription", self._policy)
        return ask()

    def set_auto_recharge(
        self, *, enabled: bool, threshold: Decimal | None = None, amount: Decimal | None = None
    ) -> AutoRecharge:
        """
        Change the settings, read them back and return them.

        :param threshold: VideoDB recharges below this number of credits; ``None`` keeps it.
        :param amount: VideoDB adds this number of credits; ``None`` keeps it.
        :raises VideoDBSettingsNotAppliedError: if VideoDB afterwards returns other settings.
        :raises VideoDBApprovalMissingError: if it would be on although the connection has ``approval_above``.
        """
        if enabled:
            check_unpriced("Automatic recharge", self._policy)
        return super().set_auto_recharge(enabled=enabled, threshold=threshold, amount=amount)

    def _within_limits(self, amount: int, currency: str | None, ask: Callable[[], Checkout]) -> Checkout:
        check_approved(self._policy, Approval(), amount, currency=currency)
        check_per_purchase_limits(amount, self._limits, currency=currency)
        if self._limits.monthly_topup_limit is None:
            return ask()
        there_before = self.list_checkouts()
        asked_at = datetime.now(UTC)
        check_limits(amount, self._limits, checkouts=there_before, now=asked_at, currency=currency)
        checkout = ask()
        made = _Made(checkout=checkout, amount=amount, asked_at=asked_at, there_before=set(by_id(there_before)))
        try:
            found, checkouts = self._wait_until_listed(made)
        except VideoDBAPIError as err:
            cause = "no response" if err.status is None else f"HTTP {err.status}"
            raise VideoDBLimitExceededError(made.withheld(f"VideoDB's list could not be read ({cause}). ")) from err
        # A checkout that the list no longer shows may still be paid.
        listed = by_id(checkouts)
        forgotten = [entry for entry in there_before if entry.id not in listed]
        check_before_sharing_link(
            amount,
            self._limits,
            checkout_id=found.id,
            checkouts=[*checkouts, *forgotten],
            now=datetime.now(UTC),
            currency=currency,
        )
        return found

    def _wait_until_listed(self, made: _Made) -> tuple[Checkout, Sequence[Checkout]]:
        """Return the checkout with its id, and a list that shows every earlier one."""
        # The operators wait as long. Somebody may set the wall clock, so the monotonic one counts.
        lag = (LIST_LAG + DATE_STEP).total_seconds()
        give_up = time.monotonic() + MAX_LIST_LAG.total_seconds()
        log.info("Reading VideoDB's list in %.1f s, before the link is returned.", lag)
        time.sleep(lag)
        while True:
            checkouts = self.list_checkouts()
            possible = made.among(checkouts)
            if len(possible) == 1:
                return made.known_as(possible[0]), checkouts
            if len(possible) > 1:
                named = "\n".join(describe_checkout(one) for one in possible)
                raise VideoDBLimitExceededError(made.withheld(f"It may be any of these:\n{named}\n"))
            if time.monotonic() >= give_up:
                raise VideoDBLimitExceededError(made.withheld("VideoDB's list does not show it. "))
            time.sleep(LIST_POLL_INTERVAL.total_seconds())


@dataclass(frozen=True, kw_only=True)
class _Made:
    """Finds a checkout that was just made in the list."""

    checkout: Checkout
    amount: int
    asked_at: datetime
    there_before: Collection[str]

    def among(self, checkouts: Sequence[Checkout]) -> list[Checkout]:
        """Return the entries that it may be. A response may carry a link without an id."""
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
        """Return the error for a link that is withheld; ``why`` ends with a space or a new line."""
        name = "A new checkout" if self.checkout.id is None else f"Checkout {self.checkout.id}"
        return (
            f"{name} for {self.amount} USD was made, but monthly_topup_limit could not be checked again. {why}Its "
            "link is withheld. Nobody can pay it, and it expires after 24 hours. An account with a stored card may "
            "have been charged. Next step: look for the checkout in VideoDB's console, then buy again."
        )
