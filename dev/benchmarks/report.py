"""The table on the terminal, and the page with what has to be known to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.benchmarks.rows import COLUMNS, Row
from dev.benchmarks.triggerer import TASKS_PER_MESSAGE
from dev.benchmarks.workers import POKE_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dev.benchmarks.plan import Plan

_HEAD = ("measure", "N", *COLUMNS, "to reach", "reached")

_PAGE = """\
# What waiting costs

Made by `make bench`; every figure is of that one run.

{table}

Growth, N times as many tasks:

{growth}

{machine}

## How to read it

The contenders wait for the same credits at the same endpoint, every {interval:g} s, one after the other, each in a
fresh process that runs Airflow's own `TriggerRunner` under a stand-in for its supervisor. N tasks wait.

- **ours**: what `CreditThresholdSensor` defers to.
- **HttpSensor**: what `HttpSensor(deferrable=True)` defers to. Given a `response_check` it does not defer at all, but
  holds its worker; its trigger takes every answer but a 404 for success. So it cannot wait for a balance, and is
  measured against an API that answers 404 until the credits are there: the closest thing that it can do.
- **shared stream**: a trigger over Airflow's own shared streams (`BaseEventTrigger.shared_stream_key`), with our
  client.
- **idle trigger**: waits in memory and asks nobody. What it costs, Airflow costs; no trigger can wait for less.
- **PythonSensor**: `mode="reschedule"`, with a `requests.get`. It uses no triggerer.

The API is a minimal server on 127.0.0.1, the same for all, so that nobody waits for the emulator.

**Requests** are counted by the API over {intervals} intervals. PythonSensor's are those of one task per poke, times
N.

**CPU** is user and system time of the whole triggerer process over {intervals} intervals, scaled to a minute. Airflow
looks at every waiting trigger about once a second, which is the idle trigger's share.

**Memory** is what the tasks after the first added to the resident memory, per task.

**Wake-up** begins right after an answer that did not yet have the credits, the worst moment, and ends when the last
of N events is in the runner's queue. Airflow writes a log line through a thread before it queues an event, and
fetches the queue about once a second: so the second line, and the idle trigger's figures.

**Event loop blocked** is the longest time in which a 5 ms timer did not get its turn, while the tasks wait and wake
up. Python's garbage collector, when it looks through everything that N tasks hold, blocks it too. Airflow's watchdog
warns above 200 ms, of which it meant to sleep 100. Tasks arrive up to {batch:,} in a message here, more than a real
supervisor sends at once.

**Accounts**: the tasks are spread over the accounts. An account is polled in every interval if it never went without
a request for longer than an interval and a second.

**Worker seconds** are from `running` to the next state in Airflow's audit log, in a real Airflow in which nothing
else runs, over a wait of some seconds; the time in which a process is forked and ended is not in them. A deferred
task takes the same however long it waits. PythonSensor's are scaled to an hour: (3600 / {poke} + 1) pokes of the mean
length seen, {poke} s being Airflow's default interval.

**Importing** is timed in fresh interpreters that have loaded `airflow.sdk` and `airflow.providers.common.compat.sdk`;
the median of {import_runs} runs, in turns. Beside our operators and sensor it is the operator and the sensor of the
same provider.
"""


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown, aligned for a terminal."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(_HEAD))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (lines[0], rule, *lines[1:])
    )


def page(plan: Plan, *, lines: Sequence[Row], growth: Sequence[Row], machine: Mapping[str, str]) -> str:
    """Return the whole page."""
    return _PAGE.format(
        table=table(lines),
        growth=table(growth),
        machine="\n".join(f"- {name}: {value}" for name, value in machine.items()),
        interval=plan.interval,
        intervals=plan.intervals,
        import_runs=plan.import_runs,
        batch=TASKS_PER_MESSAGE,
        poke=POKE_INTERVAL,
    )


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "yes", False: "**no**", None: ""}[row.reached]
    return (row.measure, row.at, *(row.cells.get(column, "-") for column in COLUMNS), row.goal, verdict)
