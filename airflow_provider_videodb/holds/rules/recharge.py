"""
The flags of pipelines that need automatic recharge.

Settings follow from flags. A flag is one record of the store, and its key has each figure. So one listing of the
keys is one atomic view of all pipelines of an account. The first pipeline records the settings that it found. Each
later pipeline copies that record, so the last one can restore them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.api.parsing import to_decimal
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import MAX_KEY

if TYPE_CHECKING:
    from decimal import Decimal

#: All flags of all accounts begin with this.
PREFIX = "videodb/recharge/"
_STATES = {"on": True, "off": False}
_NOT_GIVEN = "-"
_PARTS = 8
#: A flag without settings.
_NOTHING = AutoRecharge(enabled=False, threshold=None, amount=None)


class Mark(StrEnum):
    """What a flag says about a setup's try."""

    #: It needs these settings. A figure that is not given stays as it was found.
    WANTS = "w"
    #: These settings stood before the first pipeline changed them. The highest rank counts.
    FOUND = "f"
    #: A task is about to write these settings for it.
    APPLIES = "a"
    #: It no longer needs them.
    LEAVES = "l"


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """
    One try of a setup.

    :param account: the account's part of the key.
    :param holder: the task instance in all its tries.
    :param try_id: the try. A try that Airflow has given up never writes the key of the next one.
    """

    account: str
    holder: str
    try_id: str

    def flag(self, mark: Mark, settings: AutoRecharge = _NOTHING, *, rank: int = 0) -> RechargeFlag:
        """Return a flag of this try."""
        return RechargeFlag(owner=self, mark=mark, settings=settings, rank=rank)


@dataclass(frozen=True, kw_only=True, slots=True)
class RechargeFlag:
    """
    One record.

    :param rank: of settings that were found. Those found later, after a person's change, have a higher one.
    """

    owner: Holder
    mark: Mark
    settings: AutoRecharge
    rank: int = 0

    @property
    def key(self) -> str:
        """The key of the record."""
        owner, settings = self.owner, self.settings
        state = "on" if settings.enabled else "off"
        figures = _text(settings.threshold), _text(settings.amount)
        return PREFIX + "/".join(
            (owner.account, owner.holder, owner.try_id, self.mark, str(self.rank), state, *figures)
        )


def parse_key(key: str) -> RechargeFlag | None:
    """Read a key; ``None`` if it is not one of this version."""
    parts = key.removeprefix(PREFIX).split("/")
    if not key.startswith(PREFIX) or len(parts) != _PARTS or not all(parts):
        return None
    account, holder, try_id, mark, rank, state, threshold, amount = parts
    try:
        return RechargeFlag(
            owner=Holder(account=account, holder=holder, try_id=try_id),
            mark=Mark(mark),
            settings=AutoRecharge(enabled=_STATES[state], threshold=_figure(threshold), amount=_figure(amount)),
            rank=int(rank),
        )
    except (ValueError, KeyError):
        return None


def check_key(flag: RechargeFlag) -> RechargeFlag:
    """
    Return the flag if its key can be stored.

    :raises VideoDBConfigError: if its figures are too long.
    """
    if len(flag.key) > MAX_KEY:
        raise VideoDBConfigError(
            "These settings of automatic recharge cannot be recorded, because their figures are too long. Nothing was "
            "sent. Next step: give figures with fewer digits."
        )
    return flag


def account_prefix(account: str) -> str:
    """Return what the keys of an account begin with."""
    return f"{PREFIX}{account}/"


@dataclass(frozen=True)
class RechargeView:
    """All flags of one account in one listing."""

    flags: tuple[RechargeFlag, ...]

    @cached_property
    def owners(self) -> tuple[Holder, ...]:
        """The tries that have a flag."""
        return tuple(dict.fromkeys(flag.owner for flag in self.flags))

    def of(self, owner: Holder) -> tuple[RechargeFlag, ...]:
        """Return the flags of one try."""
        return tuple(flag for flag in self.flags if flag.owner == owner)

    def marked(self, mark: Mark) -> tuple[RechargeFlag, ...]:
        """Return the flags of one kind."""
        return tuple(flag for flag in self.flags if flag.mark is mark)

    def has(self, owner: Holder, mark: Mark) -> bool:
        """Tell whether a try has this flag."""
        return any(flag.owner == owner and flag.mark is mark for flag in self.flags)

    @property
    def found(self) -> RechargeFlag | None:
        """
        The settings to restore; ``None`` if none are recorded.

        If a person changes the settings while two setups begin, the setups find different ones. The setup that is about
        to write has read them a second time, so its record counts.
        """
        return max(
            self.marked(Mark.FOUND),
            key=lambda flag: (flag.rank, self.has(flag.owner, Mark.APPLIES), flag.key),
            default=None,
        )

    @property
    def needs(self) -> tuple[RechargeFlag, ...]:
        """
        The settings that are needed now.

        They are those of the tries that know what was found and do not leave.
        """
        return tuple(
            flag
            for flag in self.marked(Mark.WANTS)
            if self.has(flag.owner, Mark.FOUND) and not self.has(flag.owner, Mark.LEAVES)
        )

    def target(self, found: AutoRecharge, current: AutoRecharge) -> AutoRecharge:
        """Return the settings for all needs; without needs, those found."""
        needs = [flag.settings for flag in self.needs]
        return combine(found, needs) if needs else restored(found, current)

    def is_ours(self, found: AutoRecharge, current: AutoRecharge) -> bool:
        """Tell whether the settings are as found, or a pipeline's."""
        if restored(found, current) == current or any(flag.settings == current for flag in self.marked(Mark.APPLIES)):
            return True
        wants = [flag.settings for flag in self.marked(Mark.WANTS)]
        before = [flag.settings for flag in self.marked(Mark.FOUND)]
        return (
            current.enabled in {want.enabled for want in wants}
            and current.threshold in _possible([want.threshold for want in wants], [was.threshold for was in before])
            and current.amount in _possible([want.amount for want in wants], [was.amount for was in before])
        )


def combine(found: AutoRecharge, needs: list[AutoRecharge]) -> AutoRecharge:
    """
    Return the settings that serve all needs.

    Automatic recharge is on if one pipeline needs it, with the largest figures of the pipelines that do.

    :param found: supplies the figures that no pipeline gives.
    """
    enabled = any(need.enabled for need in needs)
    among = [need for need in needs if need.enabled == enabled]
    try:
        return found.changed_to(
            enabled=enabled,
            threshold=max((need.threshold for need in among if need.threshold is not None), default=None),
            amount=max((need.amount for need in among if need.amount is not None), default=None),
        )
    except VideoDBConfigError:
        # A setup checks its own figures later. If it dies before, its flag may have figures that VideoDB rejects.
        return found


def restored(found: AutoRecharge, current: AutoRecharge) -> AutoRecharge:
    """Return the settings after the found ones are restored."""
    return current.changed_to(**settings_of(found))


def settings_of(found: AutoRecharge) -> dict[str, Any]:
    """Return the changes that restore the found settings."""
    if not found.amount:
        # The account had no figures. VideoDB has no call that deletes figures, so they stay while it is disabled.
        return {"enabled": found.enabled, "threshold": None, "amount": None}
    return {"enabled": found.enabled, "threshold": found.threshold, "amount": found.amount}


def _possible(given: list[Decimal | None], found: list[Decimal | None]) -> list[Decimal | None]:
    return [figure for figure in given if figure is not None] + (found if None in given else [])


def _text(figure: Decimal | None) -> str:
    return _NOT_GIVEN if figure is None else format(figure, "f")


def _figure(text: str) -> Decimal | None:
    return None if text == _NOT_GIVEN else to_decimal(text)
