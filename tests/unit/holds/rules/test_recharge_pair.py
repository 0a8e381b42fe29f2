"""A setup and a teardown take over what an older version noted, and what others left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.holds.rules.recharge import Mark
from airflow_provider_videodb.holds.rules.recharge_pair import join, leave
from airflow_provider_videodb.holds.rules.recharge_steps import Kept, WriteSettings
from tests.support.recharge_model import FOUND, PERSON, WANTS, holder
from tests.unit.holds.rules.test_recharge_settling import Account

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import AutoRecharge

ME, OTHER = holder(0, "try"), holder(1, "try")
KEPT = Kept(before=FOUND, after=WANTS[0])


def account(settings: AutoRecharge, **flags: object) -> Account:
    made = Account(**flags)
    made.settings = settings
    return made


def test_note_without_flags_is_restored() -> None:
    alone = account(WANTS[0])

    outcome = alone.run(leave([ME.holder], ME, KEPT))

    assert (outcome.first, outcome.current, outcome.found) == (WANTS[0], FOUND, FOUND)
    assert alone.settings == FOUND
    assert alone.flags == set()


def test_note_without_flags_gives_way_to_a_change() -> None:
    alone = account(PERSON)

    outcome = alone.run(leave([ME.holder], ME, KEPT))

    assert outcome.changed_by_person == alone.settings == PERSON
    assert alone.flags == set()


@pytest.mark.parametrize(
    ("found_by_other", "handed"),
    [
        # The other one came while the older version had automatic recharge on.
        (WANTS[0], FOUND),
        # The other one came after a person's change.
        (PERSON, PERSON),
    ],
)
def test_note_tells_others_what_was_found_before_them(found_by_other: AutoRecharge, handed: AutoRecharge) -> None:
    flags = {OTHER.flag(Mark.WANTS, WANTS[1]), OTHER.flag(Mark.FOUND, found_by_other, rank=1)}
    shared = account(WANTS[1], flags=flags)

    assert shared.run(leave([ME.holder], ME, KEPT)).others == 1
    assert shared.settings == WANTS[1]
    shared.run(leave([OTHER.holder], OTHER))
    assert shared.settings == handed
    assert shared.flags == set()


def test_setup_continues_the_note_of_an_older_version() -> None:
    alone = account(WANTS[0])

    outcome = alone.run(join(ME, WANTS[0], KEPT))

    assert (outcome.found, outcome.current, outcome.changed_by_person) == (FOUND, WANTS[0], None)
    alone.run(leave([ME.holder], ME))
    assert alone.settings == FOUND


def test_setup_without_flags_or_note_has_nothing_to_leave() -> None:
    assert account(FOUND).run(leave([ME.holder], ME)) is None


def test_teardown_leaves_for_the_first_holder_that_has_flags() -> None:
    flags = {ME.flag(Mark.WANTS, WANTS[0]), ME.flag(Mark.FOUND, FOUND, rank=1)}
    shared = account(WANTS[0], flags=flags | {OTHER.flag(Mark.WANTS, WANTS[1])})

    shared.run(leave(["nobody", ME.holder, OTHER.holder], ME))

    assert {flag.owner for flag in shared.flags} == {OTHER}


def test_setup_that_was_taken_down_undoes_its_write() -> None:
    alone = account(FOUND)
    steps = join(ME, WANTS[0])
    step = next(steps)
    while not isinstance(step, WriteSettings):
        step = steps.send(alone.do(step))
    alone.flags.clear()

    outcome = alone.run(steps, step)

    assert outcome.is_over
    assert alone.settings == FOUND
    assert alone.flags == set()
