from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.processes import end_on_sigterm
from dev.demo.console import say
from tests.chaos.cluster import cluster
from tests.chaos.debian import programs
from tests.chaos.holds_scenario import DAG_ID as TWENTY_GATES
from tests.chaos.holds_scenario import HoldsScenario
from tests.chaos.scenario import DAG_ID as TWO_ACCOUNTS
from tests.chaos.scenario import Scenario
from tests.chaos.services import services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.airflow.instance import AirflowInstance


class Distributed(NamedTuple):
    airflow: AirflowInstance
    emulators: dict[str, Emulator]


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distributed]:
    """Run a distributed Airflow with three accounts."""
    end_on_sigterm()
    home = tmp_path_factory.mktemp("distributed")
    logs, found = home / "logs", programs()
    say(f"\nStarting PostgreSQL, Redis and Airflow with two workers and two triggerers. Their logs are in\n{logs}\n")
    with (
        Emulator(credits=0) as one,
        Emulator(credits=0) as other,
        Emulator(credits=0) as shared,
        services(found, logs) as urls,
    ):
        emulators = {"one": one, "other": other, "shared": shared}
        connections = {f"videodb_{name}": emulator.connection for name, emulator in emulators.items()}
        with cluster(home, urls, connections=connections) as airflow:
            for dag_id in (TWENTY_GATES, TWO_ACCOUNTS):
                airflow.api.wait_for_dag(dag_id)
            yield Distributed(airflow, emulators)


def test_no_more_gates_open_than_the_account_can_pay(distributed: Distributed) -> None:
    HoldsScenario(distributed.airflow, distributed.emulators["shared"]).run()


def test_distributed_airflow_pays_each_top_up_once(distributed: Distributed) -> None:
    accounts = {name: distributed.emulators[name] for name in ("one", "other")}
    Scenario(distributed.airflow, accounts).run()
