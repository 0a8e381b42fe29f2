"""Decisions after a POST whose response was lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBResponseError,
)
from airflow_provider_videodb.purchases.rules.decide import Fail, Paid, Recheck, ResendPost, StartPurchase, decide
from airflow_provider_videodb.purchases.rules.messages import (
    another_account_error,
    cannot_tell_error,
    undecided_error,
)
from tests.support.checkouts import LINK, after, asked, listed
from tests.support.observations import error_of, just_sent, seen

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.observation import Observation
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


FOUND = {"checkout_id": "cs_1", "id_source": "list"}
#: What VideoDB's documents do not know.
UNKNOWN_STATES = ["processing", "disputed", "Completed", ""]


class TestEarlierPolls:
    PAID, UNPAID = listed(status="completed"), listed()

    @pytest.mark.parametrize(
        ("earlier", "entries"),
        [
            # Hidden, or called something else, after it was shown as paid.
            (PAID, []),
            (PAID, [UNPAID]),
            (PAID, [listed(status="expired")]),
            (PAID, [listed(status="processing")]),
            (UNPAID, [PAID]),
        ],
    )
    def test_checkout_that_was_paid_at_one_poll_stays_paid(self, earlier: Checkout, entries: list[Checkout]) -> None:
        action = decide(asked(), replace(seen(*entries), seen={"cs_1": earlier}))

        assert isinstance(action, Paid)
        assert action.purchase.paid == ("cs_1",)

    def test_hidden_checkout_is_watched(self) -> None:
        action = decide(asked(), replace(seen(), seen={"cs_1": self.UNPAID}))

        assert action == ResendPost(purchase=asked(orphans=("cs_1",)))

    def test_paid_checkout_without_an_amount_is_left_to_a_person(self) -> None:
        """VideoDB shows none for a subscription, and perhaps none for what was just paid."""
        action = decide(asked(), seen(listed(status="completed", amount=None)))

        assert isinstance(action, Fail)
        assert type(action.error) is VideoDBPurchaseUnknownError


class TestLostResponse:
    @pytest.mark.parametrize(
        ("observation", "action"),
        [
            (just_sent(), Recheck(seconds=10)),
            (just_sent(listed()), Recheck(seconds=10)),
            (just_sent(listed(status="completed")), Recheck(seconds=10)),
            (just_sent(seconds=9.75), Recheck(seconds=0.25)),
            (just_sent(seconds=10), ResendPost(purchase=asked())),
            # The POST of a try that died may be under way still.
            (just_sent(seconds=-45), Recheck(seconds=55)),
        ],
    )
    def test_lost_response_is_examined_once_the_list_must_show_it(
        self, observation: Observation, action: object
    ) -> None:
        assert decide(asked(), observation) == action

    @pytest.mark.parametrize(
        ("record", "observation", "orphans"),
        [
            (asked(), seen(), ()),
            (asked(), seen(listed()), ("cs_1",)),
            (asked(), seen(listed(), listed("cs_2")), ("cs_1", "cs_2")),
            # What is called expired at one poll may be paid later.
            (asked(), seen(listed(status="expired")), ("cs_1",)),
            (asked(), seen(listed(status="expired"), listed("cs_2")), ("cs_1", "cs_2")),
            (asked(), seen(listed(None)), ()),
            # Whose date or amount cannot be read may be its own.
            (asked(), seen(listed(made_at=None)), ("cs_1",)),
            (asked(), seen(listed(amount=None, unreadable=("amount",))), ("cs_1",)),
            (asked(), seen(listed(amount=None)), ()),
            (asked(), seen(listed(amount=20)), ()),
            (asked(), seen(listed(status="completed"), claimed_by_others=["cs_1"]), ()),
            (asked(), seen(listed(), listed("cs_2"), claimed_by_others=["cs_1"]), ("cs_2",)),
            (asked(excluded_ids=("cs_1",)), seen(listed(status="completed")), ()),
            (asked(orphans=("cs_2",)), seen(listed(), listed("cs_2")), ("cs_2", "cs_1")),
            (asked(orphans=("cs_2",)), seen(listed("cs_2", "expired")), ("cs_2",)),
        ],
    )
    def test_lost_response_is_followed_by_a_post_if_nothing_was_paid(
        self, record: Purchase, observation: Observation, orphans: tuple[str, ...]
    ) -> None:
        assert decide(record, observation) == ResendPost(purchase=replace(record, orphans=orphans))

    @pytest.mark.parametrize(
        "observation",
        [
            seen(listed(status="completed")),
            seen(listed(status="completed"), listed("cs_2", "completed"), claimed_by_others=["cs_2"]),
            seen(listed(status="completed"), listed("cs_2", "completed", amount=20)),
        ],
    )
    def test_lost_response_matches_the_one_charged_checkout(self, observation: Observation) -> None:
        assert decide(asked(), observation) == Paid(purchase=asked(**FOUND).marked_paid(["cs_1"], at=after(60)))

    @pytest.mark.parametrize(
        ("record", "entries"),
        [
            (asked(), [listed(status="completed"), listed("cs_2", "completed")]),
            (asked(), [listed(status="completed"), listed("cs_2")]),
            (asked(), [listed(status="expired"), listed("cs_2", "completed")]),
            (asked(), [listed(None, "completed")]),
            (asked(), [listed(status="completed"), listed(None)]),
            (asked(), [listed(status="completed"), listed("cs_2", made_at=None)]),
            (asked(), [listed(status="completed"), listed("cs_2", amount=None, unreadable=("amount",))]),
            (asked(), [listed(None, "completed", made_at=None)]),
            (asked(orphans=("cs_1",)), [listed(made_at=after(-3600)), listed("cs_2", "completed")]),
        ],
    )
    def test_lost_response_is_unknown_if_another_candidate_exists(
        self, record: Purchase, entries: list[Checkout]
    ) -> None:
        action = decide(record, seen(*entries))

        error_of(action, VideoDBPurchaseUnknownError)
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize("state", UNKNOWN_STATES)
    @pytest.mark.parametrize("others", [[], [listed("cs_2")], [listed("cs_2", "completed")]])
    def test_lost_response_waits_for_a_documented_state(self, state: str, others: list[Checkout]) -> None:
        undecided = listed(status=state)
        action = decide(asked(), seen(*others, undecided))

        assert error_of(action, VideoDBResponseError) == str(undecided_error(asked(), [undecided]))
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize("entries", [[], [listed()], [listed("cs_2"), listed(status="expired")]])
    def test_lost_response_of_another_account_is_left_to_a_person(self, entries: list[Checkout]) -> None:
        record = asked(account="account-1")
        action = decide(record, seen(*entries, account="account-2"))

        assert error_of(action, VideoDBPurchaseUnknownError) == str(another_account_error(record))
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize(("noted", "now"), [("account-1", "account-1"), (None, "account-2"), (None, None)])
    def test_lost_response_of_the_same_account_continues(self, noted: str | None, now: str | None) -> None:
        action = decide(asked(account=noted), seen(account=now))

        assert action == ResendPost(purchase=asked(account=noted))

    @pytest.mark.parametrize("entries", [[], [listed()], [listed(status="completed")]])
    @pytest.mark.parametrize("purchase", [asked(account="account-1"), asked(account="account-1", payment_url=LINK)])
    def test_purchase_of_another_account_is_not_searched_here(
        self, purchase: Purchase, entries: list[Checkout]
    ) -> None:
        action = decide(purchase, seen(*entries, account="account-2"))

        assert isinstance(action, Fail)
        assert "another key or address" in str(action.error)

    @pytest.mark.parametrize(
        ("entries", "orphans"), [([], ()), ([listed()], ("cs_1",)), ([listed(), listed("cs_2")], ("cs_1", "cs_2"))]
    )
    @pytest.mark.parametrize("amount", [5, 49, 51, 97])
    def test_lost_response_is_followed_by_the_current_amount(
        self, entries: list[Checkout], orphans: tuple[str, ...], amount: int
    ) -> None:
        observation, orphaned = seen(*entries, amount=amount), asked(orphans=orphans)

        assert decide(asked(), replace(observation, reprices=True)) == StartPurchase(after=orphaned)
        assert decide(asked(), observation) == ResendPost(purchase=orphaned)
        assert decide(asked(), replace(observation, amount=50, reprices=True)) == ResendPost(purchase=orphaned)

    def test_lost_response_clears_the_post_in_flight(self) -> None:
        assert decide(asked(in_flight=35), seen()) == ResendPost(purchase=asked())
        repriced = decide(asked(in_flight=35), seen(amount=5, reprices=True))
        assert repriced == StartPurchase(after=asked())

    def test_unknown_outcome_names_candidates_without_claimed_ones(self) -> None:
        twice = asked(posts=(after().isoformat(), after(30).isoformat()))
        action = decide(twice, seen(listed(), listed("cs_2", "completed"), listed("cs_3"), claimed_by_others=["cs_3"]))

        assert error_of(action, VideoDBPurchaseUnknownError) == str(
            cannot_tell_error(twice, [listed(), listed("cs_2", "completed")])
        )
