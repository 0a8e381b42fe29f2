"""The account at VideoDB as it really is, beside what VideoDB shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Job:
    """
    The job of a pipeline whose gate has opened, until it spends no more.

    :param credits: what its gate asked for.
    """

    name: str
    credits: int
    spent: int = 0


@dataclass
class Account:
    """
    Credits.

    :param left: credits that are really left.
    :param unseen: charges that the balance does not show yet.
    :param unseen_topups: top-ups that the balance does not show yet.
    """

    left: int
    unseen: int = 0
    unseen_topups: int = 0
    #: Whose gates have opened and whose jobs have not ended.
    open: list[Job] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def balance(self) -> Decimal:
        """What VideoDB shows."""
        return Decimal(self.left + self.unseen - self.unseen_topups)

    @property
    def owed(self) -> int:
        """What the open pipelines may still spend."""
        return owed(self.open)

    def charge(self, credits: int, job: Job | None = None) -> None:
        """Spend credits. The balance does not show it before :meth:`show_charge`."""
        self.left -= credits
        self.unseen += credits
        if job is not None:
            job.spent += credits
        self.check(f"{credits} credits spent by {'somebody else' if job is None else job.name}")

    def show_charge(self, credits: int) -> None:
        """Let the balance show a charge."""
        self.unseen -= credits

    def open_gate(self, job: Job) -> None:
        """Note that a job may start."""
        self.open.append(job)
        self.check(f"the gate of {job.name} opened")

    def end(self, job: Job) -> None:
        """Note that a job spends no more."""
        if job in self.open:
            self.open.remove(job)

    def check(self, what: str) -> None:
        """Note a violation, if not everybody whose gate has opened can finish."""
        if self.left < self.owed or self.left < 0:
            self.violations.append(f"{what}: {self.left} credits left, {self.owed} owed to open pipelines")


def owed(jobs: Iterable[Job]) -> int:
    """Return what jobs may still spend."""
    return sum(job.credits - job.spent for job in jobs)
