"""How much is run: for the DAG file, and for what looks at its run from outside."""

from __future__ import annotations

GATES = 200
TOP_UPS = 20
#: Dollars, the same for every top-up, so that nothing but time tells their purchases apart.
AMOUNT = 5
#: Five failed looks in a row would end a wait. Pauses double meanwhile: an outage of half a minute fails three or four.
POLL_SECONDS = 3

#: Task instances by task.
TASKS = {"top_up": TOP_UPS, "gate": GATES, "other_top_up": 1, "other_gate": 1}
TOTAL = sum(TASKS.values())
#: The account, and the connection to it, that each task of top-ups pays into.
ACCOUNT_OF = {"top_up": "one", "other_top_up": "other"}
