"""A write without effect is an error, unless another pipeline wrote at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBSettingsNotAppliedError
from airflow_provider_videodb.holds.rules.recharge import Mark, RechargeView
from airflow_provider_videodb.holds.rules.recharge_pair import join
from airflow_provider_videodb.holds.rules.recharge_steps import (
    IsOver,
    ListFlags,
    Put,
    ReadSettings,
    Remove,
    WriteSettings,
)
from tests.support.recharge_model import FOUND, PERSON, WANTS, holder

ME, OTHER = holder(0, "try"), holder(1, "try")
WITHOUT_EFFECT = VideoDBSettingsNotAppliedError("no effect")


class Account:
    """
    An account that ignores the first writes.

    :param ignored: what the settings are after each of them.
    """

    def __init__(self, *ignored: Any, flags: Any = ()) -> None:
        self.ignored = list(ignored)
        self.flags = set(flags)
        self.settings = FOUND

    def run(self, steps: Any, step: Any = None) -> Any:
        """Carry out the steps, from ``step`` on if they have begun."""
        step = next(steps) if step is None else step
        try:
            while True:
                try:
                    result = self.do(step)
                except VideoDBSettingsNotAppliedError as err:
                    step = steps.throw(err)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return end.value

    def do(self, step: Any) -> Any:
        match step:
            case ListFlags():
                return RechargeView(tuple(sorted(self.flags, key=lambda flag: flag.key)))
            case ReadSettings():
                return self.settings
            case Put(flag=flag):
                self.flags.add(flag)
            case Remove(flag=flag):
                self.flags.discard(flag)
            case IsOver():
                return False
            case WriteSettings(settings=written):
                if self.ignored:
                    self.settings = self.ignored.pop(0)
                    raise WITHOUT_EFFECT
                self.settings = written
        return None


def another() -> set[Any]:
    return {OTHER.flag(Mark.WANTS, WANTS[1]), OTHER.flag(Mark.FOUND, FOUND, rank=1)}


def test_write_without_effect_is_an_error_if_nobody_else_writes() -> None:
    with pytest.raises(VideoDBSettingsNotAppliedError, match="no effect"):
        Account(FOUND).run(join(ME, WANTS[0]))


def test_write_that_another_pipeline_replaced_is_repeated() -> None:
    account = Account(WANTS[1], flags=another())

    assert account.run(join(ME, WANTS[0])).current == account.settings
    assert account.settings.threshold == max(want.threshold for want in WANTS[:2] if want.threshold is not None)


def test_settings_that_videodb_rounds_are_not_taken_for_a_persons() -> None:
    with pytest.raises(VideoDBSettingsNotAppliedError, match="no effect"):
        Account(PERSON, flags=another()).run(join(ME, WANTS[0]))


def test_account_that_never_settles_ends_in_an_error() -> None:
    with pytest.raises(VideoDBSettingsNotAppliedError):
        Account(*[FOUND] * 100, flags=another()).run(join(ME, WANTS[0]))


def test_setup_that_cannot_be_enabled_takes_its_flag_down() -> None:
    account = Account()
    account.settings = type(FOUND)(enabled=False, threshold=None, amount=None)

    with pytest.raises(ValueError, match="cannot be enabled"):
        account.run(join(ME, type(FOUND)(enabled=True, threshold=None, amount=None)))
    assert account.flags == set()
