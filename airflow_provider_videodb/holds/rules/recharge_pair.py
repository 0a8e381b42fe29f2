"""
How overlapping pipelines share automatic recharge.

A setup raises its flag, finds out what stood before the first pipeline, records that, and only then writes. A teardown
marks its setup as leaving, writes what the others need or what the first one found, and only then takes the flags down.

The functions here are generators, so that the tests can interleave several pipelines at each step, and kill them there.
VideoDB has no compare-and-set: a person's change between a read and the write that follows it is lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.rules.recharge import Mark, RechargeView
from airflow_provider_videodb.holds.rules.recharge_settling import Settling
from airflow_provider_videodb.holds.rules.recharge_steps import (
    IsOver,
    Kept,
    ListFlags,
    Outcome,
    Put,
    ReadSettings,
    Remove,
    Step,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from airflow_provider_videodb.api.models import AutoRecharge
    from airflow_provider_videodb.holds.rules.recharge import Holder, RechargeFlag


def join(me: Holder, wants: AutoRecharge, kept: Kept | None = None) -> Generator[Step, Any, Outcome]:
    """
    Switch automatic recharge on for this setup.

    :param wants: a figure that is ``None`` stays as it was found.
    :raises VideoDBConfigError: if automatic recharge would be enabled without a threshold or an amount.
    """
    want = me.flag(Mark.WANTS, wants)
    yield Put(want)
    try:
        mine = yield from _find(me, kept)
        mine.settings.changed_to(enabled=wants.enabled, threshold=wants.threshold, amount=wants.amount)
    except GeneratorExit:
        # The process ends, so no step can be carried out.
        raise
    except BaseException:
        yield Remove(want)
        raise
    yield Put(mine)
    retired = yield from _retire((yield ListFlags()), me.holder, but=me)
    return (yield from Settling(me, mine, retired, is_leaving=False).run())


def leave(holders: Sequence[str], me: Holder, kept: Kept | None = None) -> Generator[Step, Any, Outcome | None]:
    """
    Switch automatic recharge back, unless others need it.

    :param holders: of the setup, the likeliest first. The first one with flags is used.
    :param me: the try that gets the flags for ``kept``.
    :return: ``None`` if the setup has neither flags nor a note.
    """
    view: RechargeView = yield ListFlags()
    present = {owner.holder for owner in view.owners}
    holder = next((holder for holder in holders if holder in present), None)
    if holder is None:
        if kept is None:
            return None
        yield Put(me.flag(Mark.LEAVES))
        yield Put(me.flag(Mark.WANTS, kept.after))
        yield from _take_over(me, kept, view)
        holder, view = me.holder, (yield ListFlags())
    retired = yield from _retire(view, holder)
    return (yield from Settling(retired[0], view.found, retired, is_leaving=True).run())


def _find(me: Holder, kept: Kept | None) -> Generator[Step, Any, RechargeFlag]:
    """
    Find out which settings stood before the first pipeline.

    Each task records what was found before it writes, and keeps the record until the last write. So if neither the
    listing before the read nor the one after it shows such a record, no task wrote in between.
    """
    view: RechargeView = yield ListFlags()
    if kept is not None and not any(flag.owner.holder == me.holder for flag in view.marked(Mark.FOUND)):
        return (yield from _take_over(me, kept, view))
    found = view.found
    if found is None:
        settings = yield ReadSettings()
        view = yield ListFlags()
        found = view.found or me.flag(Mark.FOUND, settings, rank=1)
    return replace(found, owner=me)


def _take_over(me: Holder, kept: Kept, view: RechargeView) -> Generator[Step, Any, RechargeFlag]:
    """Turn the note of an older version into flags."""
    found = view.found
    if found is None or found.settings == kept.after:
        # The other pipeline found the settings that this one had written.
        mine = me.flag(Mark.FOUND, kept.before, rank=1 if found is None else found.rank + 1)
    else:
        mine = replace(found, owner=me)
    yield Put(me.flag(Mark.APPLIES, kept.after))
    yield Put(mine)
    return mine


def _retire(view: RechargeView, holder: str, *, but: Holder | None = None) -> Generator[Step, Any, list[Holder]]:
    """
    Mark this setup's tries and ended tries as leaving.

    A try whose DAG run ended without its teardown would otherwise keep automatic recharge on.

    :param but: a try to leave alone.
    """
    own = [owner for owner in view.owners if owner.holder == holder and owner != but]
    retired = list(own)
    for owner in view.owners:
        if owner.holder == holder:
            continue
        # Another pipeline handed this over to a setup that had just left, so no task will remove it.
        is_orphan = not view.has(owner, Mark.WANTS) and not view.has(owner, Mark.LEAVES)
        if is_orphan or (yield IsOver(owner)):
            retired.append(owner)
    for owner in retired:
        if not view.has(owner, Mark.LEAVES):
            yield Put(owner.flag(Mark.LEAVES))
    return retired
