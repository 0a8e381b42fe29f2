"""Numbers that the DAG file and the scenario share."""

from __future__ import annotations

GATES = 200
TOP_UPS = 20
#: Dollars. All top-ups are equal, so only the time of a checkout tells whose it is.
AMOUNT = 5
#: Five failed polls in a row end a wait. Each failure doubles the pause, so an outage of 30 s fails three or four.
POLL_SECONDS = 3

#: Task instances by task.
TASKS = {"top_up": TOP_UPS, "gate": GATES, "other_top_up": 1, "other_gate": 1}
TOTAL = sum(TASKS.values())
#: The account that each top-up task pays into.
ACCOUNT_OF = {"top_up": "one", "other_top_up": "other"}

#: Pipelines that want credits of one account at the same time.
HOLDING_GATES = 20
#: Credits that each of them holds.
HELD_CREDITS = 75
SHARED_BALANCE = 500
