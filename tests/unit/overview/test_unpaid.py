"""What the page says of an unpaid purchase whose task does not wait now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_videodb.overview.recorded import Question, RecordedPurchase
from airflow_provider_videodb.overview.unpaid import describe_link, describe_unknown
from airflow_provider_videodb.overview.waits import AccountNow
from tests.support.checkouts import LINK, LINK_SHARED, after, asked, listed, made
from tests.support.recorded import TASK

ACCOUNT = AccountNow(balance=None, available=None, listed={"cs_1": listed()}, reasons={}, pause=None)


def described(purchase=LINK_SHARED, state="queued", account=ACCOUNT, now=after(60)):  # noqa: B008 - a constant
    recorded = RecordedPurchase(task=TASK, purchase=purchase, state=state)
    return describe_link(recorded, account, now=now)


@pytest.mark.parametrize(
    "state", ["queued", "running", "scheduled", "up_for_retry", "up_for_reschedule", "restarting", "deferred"]
)
def test_link_can_be_paid_while_its_task_does_not_wait(state):
    shown = described(state=state)
    assert (shown["todo"], shown["url"], shown["checkout"]) == ("pay", LINK, "cs_1")
    assert (shown["dag_id"], shown["since"]) == ("nightly", "2026-01-15T12:00:00Z")
    assert shown["why"].endswith(f"Its state is {state} now, and the link stays valid.")


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "removed", "upstream_failed", None])
def test_link_of_an_ended_task_is_not_offered(state):
    assert described(state=state) is None


@pytest.mark.parametrize(
    "given",
    [
        {"purchase": made()},
        {"now": after(86_400)},
        {"account": replace(ACCOUNT, listed={"cs_1": listed(status="completed")})},
        {"account": replace(ACCOUNT, listed={"cs_1": listed(status="expired")})},
        {"purchase": made(link_shared=True, payment_url="javascript:alert(1)")},
    ],
    ids=["never shared", "old", "paid", "expired", "script"],
)
def test_link_that_nobody_should_pay_is_not_offered(given):
    assert described(**given) is None


def test_link_of_an_unknown_task_is_not_offered():
    nobody = RecordedPurchase(task=None, purchase=LINK_SHARED, state="queued")
    assert describe_link(nobody, ACCOUNT, now=after(60)) is None


def test_unknown_outcome_is_described_by_the_line():
    recorded = RecordedPurchase(task=TASK, purchase=asked(), state="failed")
    question = Question(recorded=recorded, reason="Two may be its own:\ncs_1\x07\n\ncs_2", candidates=(listed(),))
    shown = describe_unknown(question, {}, now=after(60))
    assert (shown["id"], shown["price"], shown["resolution"]) == ("0123456789abcdef", "50 USD", None)
    assert shown["reason"] == ["Two may be its own:", "cs_1?", "cs_2"]
    assert [one["id"] for one in shown["candidates"]] == ["cs_1"]
    assert (shown["dag_id"], shown["asked_at"]) == ("nightly", "2026-01-15T12:00:00Z")


def test_written_resolution_is_shown_with_the_question():
    recorded = RecordedPurchase(task=TASK, purchase=asked(), state="failed")
    earlier = {"videodb_resolution_0123456789abcdef": "cs_1\x07"}
    shown = describe_unknown(Question(recorded=recorded, reason="", candidates=()), earlier, now=after(60))
    assert shown["resolution"] == "cs_1?"
