"""A page with a wrong command fails `test_code_blocks.py`."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError
from tests.support.commands import check_commands, commands_of_console

WRONG = [
    "make nothing",
    "pip install 'airflow-provider-videodb[skd]'",
    "pip install '.[skd]' -c constraints/airflow-3.3.txt",
    "airflow connection add videodb_default",
    "airflow version && airflow videodb holds lst",
    "airflow videodb holds pause --for 1x --reason invoice",
    "python -m airflow_provider_videodb.emulator --credit-s 3",
    "AIRFLOW__CORE__TEST_CONECTION=Enabled airflow version",
    "less unknown.txt",
]


@pytest.mark.parametrize("command", WRONG)
def test_wrong_command_is_refused(command: str) -> None:
    with pytest.raises(AssertionError):
        check_commands(command)


def test_connection_that_the_hook_refuses_is_refused() -> None:
    with pytest.raises(VideoDBConfigError):
        check_commands("export AIRFLOW_CONN_VIDEODB_DEFAULT='videodb://:sk-1@/?max_topup_amount=-50'")


def test_command_may_fill_several_lines() -> None:
    check_commands("airflow connections add videodb_default \\\n    --conn-type videodb")


def test_console_shows_commands_after_a_prompt() -> None:
    assert commands_of_console("$ airflow version\n3.3.2\n$ make \\\n    docs\n") == "airflow version\nmake      docs"
