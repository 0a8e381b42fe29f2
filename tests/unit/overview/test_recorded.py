"""Whose purchase a record is, and what it asks."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.overview.recorded import RecordedPurchase, TaskName, belongings, question_of
from airflow_provider_videodb.purchases.variables import variable_key
from tests.support.checkouts import LINK, LINK_SHARED, after, asked, listed, made
from tests.support.recorded import HASHED, TASK, words_of

ODD = TaskName(dag_id="a__b", run_id="manual__2026-11-26T04:00:00+00:00", task_id="c__d", map_index=3)

A_MINUTE_LATER = after(60)


def question(purchase, *checkouts, state="failed", claims=None, account="here", now=A_MINUTE_LATER):
    recorded = RecordedPurchase(task=TASK, purchase=purchase, state=state)
    return question_of(recorded, checkouts=checkouts, claims=claims or {}, account=account, now=now)


TWO = (listed("cs_1", "completed"), listed("cs_2", "completed"))


@pytest.mark.parametrize("task", [TASK, ODD], ids=str)
def test_name_of_a_variable_tells_the_task(task):
    assert TaskName.from_variable("videodb_purchase", variable_key("videodb_purchase", *words_of(task))) == task


@pytest.mark.parametrize("key", ["videodb_purchase__a", "videodb_purchase__a__b__c__-1__00000000"])
def test_other_name_tells_no_task(key):
    assert TaskName.from_variable("videodb_purchase", key) is None
    hashed = variable_key("videodb_purchase", *words_of(HASHED))
    assert TaskName.from_variable("videodb_purchase", hashed) is None


def test_owner_of_a_claim_tells_the_task():
    assert TaskName.from_owner("/".join(words_of(ODD))) == ODD
    assert str(ODD) == f"DAG a__b, run {ODD.run_id}, task c__d [3]"
    assert str(TaskName(dag_id="a", run_id="b", task_id="c", map_index=0)) == "DAG a, run b, task c [0]"
    assert TaskName.from_owner("another/task") is None
    assert TaskName.from_owner("a/b/c/d") is None


@pytest.mark.parametrize(
    ("purchase", "link"),
    [
        (LINK_SHARED, LINK),
        (made(), None),
        (made(link_shared=True, paid=("cs_1",)), None),
        (made(link_shared=True, posts=()), None),
    ],
)
def test_link_is_shown_while_people_may_pay_it(purchase, link):
    recorded = RecordedPurchase(task=TASK, purchase=purchase, state="deferred")
    assert recorded.link(now=after(60)) == link
    assert recorded.link(now=after(86_400)) is None


def test_purchase_with_several_candidates_is_a_question():
    found = question(asked(), *TWO)
    assert [one.id for one in found.candidates] == ["cs_1", "cs_2"]
    assert found.reason.startswith("This task asked for 50 USD")
    assert "Next step" not in found.reason


def test_purchase_at_another_account_is_a_question():
    assert "another key or address" in question(asked(account="there"), *TWO).reason


@pytest.mark.parametrize(
    "given",
    [
        {"state": "success"},
        {"state": None},
        {"claims": {"cs_1": HASHED}},
        {"claims": {"cs_1": None}},
        {"now": after(1)},
        # The POST may have been on its way until five seconds ago.
        {"purchase": asked(in_flight=55)},
    ],
    ids=str,
)
def test_purchase_that_its_task_can_settle_is_no_question(given):
    assert question(given.pop("purchase", asked()), *TWO, **given) is None


def test_checkout_that_the_task_has_claimed_itself_is_a_candidate():
    found = question(asked(), *TWO, claims={"cs_1": TASK})
    assert [one.id for one in found.candidates] == ["cs_1", "cs_2"]
    assert found.name == str(TASK)


def test_failure_that_no_resolution_can_settle_is_no_question():
    assert question(LINK_SHARED) is None
    assert question(LINK_SHARED, listed("cs_1", "expired"), now=after(2 * 86_400)) is None


def test_known_purchase_is_no_question():
    assert question(LINK_SHARED, listed()) is None
    assert question(made(paid=("cs_1",)), *TWO) is None
    assert question(asked(posts=()), *TWO) is None


def test_claim_and_record_tell_whose_checkout_it_is():
    recorded = RecordedPurchase(task=TASK, purchase=LINK_SHARED, state="deferred")
    found = belongings([recorded], {"cs_2": ODD, "cs_3": None}, now=after(60))
    assert (found["cs_1"].link, str(found["cs_1"])) == (LINK, f"{TASK} (deferred)")
    assert (found["cs_2"].task, found["cs_2"].link) == (ODD, None)
    assert "cs_3" not in found
    assert found["cs_1"].to_dict() == {**TASK.to_dict(), "state": "deferred", "payment_url": LINK}


def test_record_without_a_task_or_a_checkout_is_nobodys():
    nobody = RecordedPurchase(task=None, purchase=LINK_SHARED, state=None)
    unknown = RecordedPurchase(task=TASK, purchase=asked(), state="failed")
    assert belongings([nobody, unknown], {}, now=after(60)) == {}
