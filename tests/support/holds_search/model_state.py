"""The state of the model check: the account, Airflow, the flags, and what each process has been told."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_videodb.holds.rules.records import Flag, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The clock. It stands still.
NOW = 1
#: A release has this until its charge shows, and ``NOW`` afterwards.
SETTLING = NOW + 1
FINISHED = "success"

Move = tuple[str, "State"]


class Gate(NamedTuple):
    """A DAG run: a gate, a job and a release."""

    try_number: int = 1
    is_open: bool = False
    job: str | None = None
    release: str | None = None
    is_active: bool = True
    #: Charges that the balance does not show yet.
    unseen: int = 0


class Process(NamedTuple):
    """A try that runs. What it has been told decides what it does next."""

    gate: int
    try_number: int
    releases: bool = False
    told: tuple[Any, ...] = ()


class State(NamedTuple):
    """Everything that decides what can happen."""

    left: int
    gates: tuple[Gate, ...]
    processes: tuple[Process, ...]
    flags: frozenset[Flag]
    errors: int
    #: Whether all that a gate does before it raises its flag happens in one move.
    looks_at_once: bool

    @property
    def balance(self) -> Decimal:
        """What VideoDB shows."""
        return Decimal(self.left + sum(gate.unseen for gate in self.gates))

    @property
    def is_violation(self) -> bool:
        """Whether not everybody whose gate has opened can spend what it asked for."""
        return self.left < sum(gate.is_open and gate.job is None for gate in self.gates)

    def with_gate(self, number: int, **changes: Any) -> State:
        """Change a gate."""
        gates = list(self.gates)
        gates[number] = gates[number]._replace(**changes)
        return self._replace(gates=tuple(gates))

    def with_process(self, process: Process) -> State:
        """Add a process. Equal ones are in the same place in each order of events."""
        return self._replace(processes=tuple(sorted((*self.processes, process), key=_place)))

    def without(self, process: Process) -> State:
        """Let a process end."""
        processes = list(self.processes)
        processes.remove(process)
        return self._replace(processes=tuple(processes))


def moves_of_world(state: State) -> Iterator[Move]:
    """Return what can happen apart from the steps of processes."""
    for number, gate in enumerate(state.gates):
        if gate.is_open and gate.job is None:
            spent = state.with_gate(number, job=FINISHED, unseen=gate.unseen + 1)
            yield f"the job of {number} spends", spent._replace(left=state.left - 1)
        if gate.job is not None and gate.release is None and gate.is_active:
            released = state.with_gate(number, release="running")
            yield f"the release of {number} starts", released.with_process(Process(number, gate.try_number, True))
            yield f"the run of {number} ends without a release", state.with_gate(number, is_active=False)
        if gate.unseen:
            yield f"a charge of {number} shows", state.with_gate(number, unseen=gate.unseen - 1)
    for flag in state.flags:
        if flag.kind is Kind.RELEASED and flag.ms == SETTLING and not state.gates[int(flag.holder)].unseen:
            # Only its time has passed, so the key stays.
            yield f"{flag.key} has settled", state._replace(flags=state.flags - {flag} | {_settled(flag)})


def _settled(flag: Flag) -> Flag:
    return Flag(
        account=flag.account,
        holder=flag.holder,
        try_id=flag.try_id,
        kind=flag.kind,
        credits=flag.credits,
        ms=NOW,
    )


def _place(process: Process) -> tuple[int, int, bool, int]:
    return process.gate, process.try_number, process.releases, len(process.told)
