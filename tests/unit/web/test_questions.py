"""Tasks that ask a person before they buy, as the page finds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_videodb.web import records
from airflow_provider_videodb.web.records import read_questions

COMPAT = Path(__file__).parents[2] / "compat" / "triggers"
SUBJECT = "Approve 50 USD for VideoDB credits?"
HITL_TRIGGER = "airflow.providers.standard.triggers.hitl.HITLTrigger"
GATE = "airflow_provider_videodb.triggers.ensure_credits.EnsureCreditsTrigger"


def anything(_):
    return True


@pytest.mark.parametrize("trigger", [None, HITL_TRIGGER])
def test_open_request_is_found_with_its_connection(deferred_task, trigger):
    deferred_task("nightly", trigger, {}, asks=("videodb_archive", SUBJECT))
    [question] = read_questions(anything)
    assert (question.dag_id, question.conn_id, question.subject) == ("nightly", "videodb_archive", SUBJECT)


def test_request_with_forgotten_arguments_has_no_connection(deferred_task):
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    deferred_task("nightly", None, {}, asks=("videodb_archive", SUBJECT))
    with create_session() as session:
        session.execute(delete(RenderedTaskInstanceFields))
    [question] = read_questions(anything)
    assert (question.dag_id, question.conn_id) == ("nightly", None)


def test_request_of_another_operator_is_not_ours(deferred_task):
    deferred_task("nightly", HITL_TRIGGER, {}, asks=("videodb_default", "Publish the video?"))
    assert read_questions(anything) == []


def test_gate_in_the_queue_is_listed_with_the_waiting_tasks(deferred_task):
    kwargs = json.loads((COMPAT / "ensure_credits_without_purchase.json").read_text())["kwargs"]
    deferred_task("nightly", GATE, kwargs | {"required_action": "open"}, asks=("videodb_default", SUBJECT))
    assert read_questions(anything) == []
    [task], more = records.read_waiting_tasks(anything)
    assert (task.dag_id, more) == ("nightly", 0)


def test_requests_of_unreadable_dags_do_not_crowd_out_others(deferred_task, monkeypatch):
    monkeypatch.setattr(records, "MOST_TASKS", 1)
    deferred_task("secret", HITL_TRIGGER, {}, asks=("videodb_default", SUBJECT))
    deferred_task("nightly", HITL_TRIGGER, {}, asks=("videodb_default", SUBJECT))
    [question] = read_questions(lambda dag_id: dag_id == "nightly")
    assert question.dag_id == "nightly"
