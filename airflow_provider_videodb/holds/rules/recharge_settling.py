"""
Writes automatic-recharge settings until they fit the flags.

After each write, the task lists the flags again. If they have changed, it writes again. So in each order of events, the
last write serves the pipelines that remain. At the end, the task takes down the flags of tries that leave.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBSettingsNotAppliedError
from airflow_provider_videodb.holds.rules.recharge import Mark, RechargeView
from airflow_provider_videodb.holds.rules.recharge_steps import (
    KeepNote,
    ListFlags,
    Outcome,
    Put,
    ReadSettings,
    Remove,
    Step,
    WriteSettings,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_videodb.api.models import AutoRecharge
    from airflow_provider_videodb.holds.rules.recharge import Holder, RechargeFlag

#: How often one task writes before it gives up, because other pipelines keep changing the settings.
_ROUNDS = 20


class Settling:
    """
    Writes the settings until they fit the flags.

    :param me: the try on whose behalf this task writes.
    :param mine: what was found, as far as this task knows.
    :param retired: the tries whose flags this task takes down in the end.
    """

    def __init__(self, me: Holder, mine: RechargeFlag | None, retired: list[Holder], *, is_leaving: bool) -> None:
        self._me = me
        self._found = mine
        self._retired = retired
        self._is_leaving = is_leaving
        self._is_over = False
        self._first: AutoRecharge | None = None
        self._changed: AutoRecharge | None = None
        self._written: AutoRecharge | None = None
        self._failure: VideoDBSettingsNotAppliedError | None = None

    def run(self) -> Generator[Step, Any, Outcome]:
        """Write until nothing differs, then take down the flags."""
        for _ in range(_ROUNDS):
            outcome = yield from self._round()
            if outcome is not None:
                return outcome
        raise self._failure or VideoDBSettingsNotAppliedError(
            "Other pipelines keep changing automatic recharge, so this task gave up. The settings may "
            "be those of another pipeline. Next step: retry the task."
        )

    def _round(self) -> Generator[Step, Any, Outcome | None]:
        current: AutoRecharge = yield ReadSettings()
        view: RechargeView = yield ListFlags()
        self._first = current if self._first is None else self._first
        if not self._is_leaving and not view.has(self._me, Mark.WANTS):
            yield from self._notice_teardown()
            return None
        self._found = _higher(view.found, self._found)
        if self._found is None:
            # No task has recorded what was found, so none wrote.
            return (yield from self._finish(current, view))
        is_ours = view.is_ours(self._found.settings, current)
        if self._failure is not None and (not is_ours or self._is_alone(view)):
            raise self._failure
        if not is_ours:
            return (yield from self._respect(current, view, self._found))
        wanted = view.target(self._found.settings, current)
        if wanted == current:
            return (yield from self._finish(current, view))
        yield from self._write(self._found, wanted, view)
        return None

    def _respect(
        self, current: AutoRecharge, view: RechargeView, found: RechargeFlag
    ) -> Generator[Step, Any, Outcome | None]:
        """Keep a person's change. A setup counts it as found."""
        if (yield ReadSettings()) != current:
            # The change was a pipeline's, and that pipeline has corrected it since.
            return None
        self._changed = current
        if self._is_leaving:
            return (yield from self._finish(current, view))
        self._found = self._me.flag(Mark.FOUND, current, rank=found.rank + 1)
        yield Put(self._found)
        return None

    def _write(self, found: RechargeFlag, wanted: AutoRecharge, view: RechargeView) -> Generator[Step, Any, None]:
        if not self._is_leaving:
            yield KeepNote(found.settings, wanted)
            mine = replace(found, owner=self._me)
            if mine not in view.flags:
                yield Put(mine)
            for flag in view.of(self._me):
                if flag.mark is Mark.FOUND and flag != mine:
                    # It is older than a person's change that another setup has found.
                    yield Remove(flag)
        yield Put(self._me.flag(Mark.APPLIES, wanted))
        self._written = wanted
        try:
            yield WriteSettings(wanted, is_undo=self._is_over)
        except VideoDBSettingsNotAppliedError as err:
            # Another pipeline may have written before the settings were read back. The next round finds out.
            self._failure = err
        else:
            self._failure = None

    def _notice_teardown(self) -> Generator[Step, Any, None]:
        """Leave, because the teardown has run meanwhile."""
        self._is_over = self._is_leaving = True
        self._retired = [self._me, *self._retired]
        yield Put(self._me.flag(Mark.LEAVES))
        if self._written is not None:
            # Without this flag, the write that came too late looks like a person's change.
            yield Put(self._me.flag(Mark.APPLIES, self._written))
        if self._found is not None:
            yield Put(replace(self._found, owner=self._me))

    def _is_alone(self, view: RechargeView) -> bool:
        return all(owner == self._me or owner in self._retired for owner in view.owners)

    def _finish(self, current: AutoRecharge, view: RechargeView) -> Generator[Step, Any, Outcome]:
        """Hand over what was found, then take down flags."""
        if self._retired:
            handed = yield from self._hand_over(view)
            yield from _take_down(self._retired, handed, view)
        return Outcome(
            found=None if self._found is None else self._found.settings,
            first=current if self._first is None else self._first,
            current=current,
            changed_by_person=self._changed,
            others=len({flag.owner.holder for flag in view.needs if flag.owner != self._me}),
            is_over=self._is_over,
        )

    def _hand_over(self, view: RechargeView) -> Generator[Step, Any, list[RechargeFlag]]:
        handed: list[RechargeFlag] = []
        if self._found is None:
            return handed
        for owner in view.owners:
            flag = replace(self._found, owner=owner)
            # A try that leaves may be about to restore what it found, so it needs this record too.
            if owner not in self._retired and view.has(owner, Mark.WANTS) and flag not in view.flags:
                handed.append(flag)
                yield Put(flag)
        return handed


def _take_down(retired: list[Holder], handed: list[RechargeFlag], view: RechargeView) -> Generator[Step, Any, None]:
    """
    Take down flags, the one that says "leaving" last.

    So if this task dies meanwhile, the others still know that these tries leave.
    """
    for flag in view.flags:
        if flag.owner in retired and flag.mark is Mark.WANTS:
            yield Remove(flag)
    # From now on no task hands anything to these tries, so this listing shows all their flags.
    now: RechargeView = yield ListFlags()
    for owner in retired:
        for flag in sorted(now.of(owner), key=lambda flag: flag.mark is Mark.LEAVES):
            yield Remove(flag)
    for flag in handed:
        if not now.has(flag.owner, Mark.WANTS):
            yield Remove(flag)


def _higher(one: RechargeFlag | None, other: RechargeFlag | None) -> RechargeFlag | None:
    if one is None or other is None:
        return one or other
    return other if other.rank > one.rank else one
