"""Which account a connection names, and what one account leaves to the next."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import GetVariable

from airflow_provider_videodb.exceptions import VideoDBRateLimitError, VideoDBServerError
from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers._accounts import Backoff, read_in_triggerer, read_in_worker
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult, poll
from airflow_provider_videodb.triggers._shared_poll import PollKey, wait_for_event
from tests.support.airflow_channel import AirflowChannel
from tests.support.compat import needs_listed_variables
from tests.unit.triggers.poll_results import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

INTERVAL = 0.05
# Nothing listens there, because each test has its own function to fetch with.
CONNECTION: dict[str, Any] = {"conn_type": "videodb", "host": "http://127.0.0.1:9", "password": "sk-test-no-account"}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change fields of the connection `account`."""

    def connect(**changed: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION | changed))

    connect()
    return connect


async def next_results(stream: Any, number: int) -> list[PollResult]:
    found: list[PollResult] = []
    while len(found) < number:
        result = await anext(stream)
        if result is not NO_RESULT:
            found.append(result)
    return found


DOWN = VideoDBServerError("down")
SLOW_DOWN = VideoDBRateLimitError("slow down")


@pytest.mark.parametrize(
    ("interval", "errors", "delay"),
    [
        (1, [DOWN], 2),
        (1, [DOWN, DOWN], 4),
        (1, [DOWN, SLOW_DOWN, DOWN], 8),
        (1, [DOWN, DOWN, None, DOWN], 2),
        (1, [DOWN] * 9, 300),
        (200, [DOWN], 300),
        (600, [DOWN, DOWN], 600),
        (1, [DOWN] * 10_000, 300),
    ],
)
def test_each_failure_in_a_row_doubles_the_delay(interval, errors, delay):
    backoff = Backoff(interval)
    for error in errors:
        if error is None:
            backoff.succeeded()
        else:
            backoff.failed(error, began=1000)

    assert backoff.not_before == 1000 + delay


def test_retry_after_takes_the_place_of_the_doubled_delay():
    backoff, asked = Backoff(1), VideoDBRateLimitError("slow down", retry_after=3600)
    before = time.monotonic()

    backoff.failed(asked, began=0)

    assert before + 3600 <= backoff.not_before <= time.monotonic() + 3600


@pytest.mark.parametrize("read_settings", [read_in_triggerer, read_in_worker])
@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        ({"password": "sk-test-another"}, True),
        ({"host": "http://127.0.0.1:10"}, True),
        ({"extra": {"timeout": 7}}, True),
        ({"extra": {"credit_account": "shared"}}, True),
        ({"extra": {"credit_reserve": 7}}, True),
        ({"extra": {"settlement_minutes": 7}}, True),
        ({"extra": {"max_topup_amount": 7}}, False),
        ({"description": "in other words"}, False),
    ],
    ids=str,
)
async def test_account_changes_with_all_that_a_poll_depends_on(connect, caplog, read_settings, changed, is_another):
    caplog.set_level("INFO", logger=polling.__name__)
    async with aclosing(
        poll("account", lambda client: client, interval=INTERVAL, read_settings=read_settings)
    ) as results:
        (before,) = await next_results(results, 1)
        connect(**changed)
        after = (await next_results(results, 2))[-1]

    assert (before.value is not after.value) == is_another
    assert (before.account != after.account) == is_another
    assert ("Connection account was changed" in caplog.text) == is_another
    assert "sk-test" not in caplog.text


@needs_listed_variables
async def test_task_asks_airflow_one_question_at_a_time(monkeypatch):
    class Airflow(AirflowChannel):
        def _serve(self, name: str, question: Any) -> Any:
            time.sleep(0.02)
            return super()._serve(name, question)

    class Hook:
        def __init__(self, _: str) -> None:
            airflow.send(GetVariable(key="in place of the connection"))
            self.settings = SETTINGS

    airflow = Airflow()
    airflow.install(monkeypatch)
    monkeypatch.setattr("airflow_provider_videodb.triggers._accounts.VideoDBBillingHook", Hook)

    def list_often(account: Any) -> None:
        for _ in range(20):
            account.holds.list()

    async with aclosing(poll("account", list_often, interval=0.05, read_settings=read_in_worker)) as results:
        await next_results(results, 2)

    assert airflow.listings() >= 40
    # dag.test() mixes up the responses to two questions.
    assert not airflow.was_crossed


async def test_new_account_begins_without_a_delay(connect):
    def fetch(_: Any) -> None:
        raise VideoDBServerError("down")

    async with aclosing(poll("account", fetch, interval=INTERVAL)) as results:
        await next_results(results, 3)
        connect(host="http://127.0.0.1:10")

        # After three failures the old account would be delayed by eight ticks.
        assert (await anext(results)).error is not None


@pytest.mark.parametrize("waiters", [1, 1000])
async def test_connection_is_read_per_poll_and_not_per_waiter(connect, waiters):
    reads: list[str] = []
    polls: list[int] = []

    async def read_settings(conn_id: str) -> Any:
        reads.append(conn_id)
        return await read_in_triggerer(conn_id)

    key = PollKey(lambda _: polls.append(1), "account", INTERVAL, read_settings)
    await asyncio.gather(*(wait_for_event((key, lambda _: {} if len(polls) > 3 else None)) for _ in range(waiters)))

    assert len(reads) <= 2 * len(polls) + 1


async def test_cancelled_read_of_the_connection_ends_no_poll():
    outcomes: Any = iter([asyncio.CancelledError, SystemExit])

    async def read_settings(_: str) -> Any:
        raise next(outcomes, VideoDBServerError)("not now")

    async with aclosing(poll("account", lambda _: None, interval=INTERVAL, read_settings=read_settings)) as results:
        errors = [type(result.error).__name__ for result in await next_results(results, 3)]

    assert errors == ["VideoDBError", "SystemExit", "VideoDBServerError"]
