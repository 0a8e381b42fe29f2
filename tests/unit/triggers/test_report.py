"""XCom says why a task waits."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError
from airflow_provider_videodb.triggers._report import push_waiting
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.airflow_faults import FAULTS

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> AirflowChannel:
    channel = AirflowChannel()
    channel.install(monkeypatch)
    return channel


async def test_reason_goes_to_the_task(airflow):
    await push_waiting(a_task(), "Waiting: 50 credits needed.")

    (sent,) = airflow.asked
    assert (sent.dag_id, sent.run_id, sent.task_id, sent.map_index) == ("dag", "run", "gate", -1)
    assert (sent.key, sent.value) == ("waiting", "Waiting: 50 credits needed.")


async def test_trigger_outside_of_airflow_reports_nothing(airflow):
    await push_waiting(None, "Waiting: 50 credits needed.")

    assert airflow.asked == []


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_reason_that_airflow_does_not_confirm_is_an_error(monkeypatch, fault):
    def refuse(_: object) -> None:
        raise fault

    monkeypatch.setattr("airflow_provider_videodb.triggers._report.ask_airflow", refuse)

    with pytest.raises(VideoDBRecordNotKeptError, match="could not write an XCom"):
        await push_waiting(a_task(), "Waiting: 50 credits needed.")
