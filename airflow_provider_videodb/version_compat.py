"""Which Airflow this is. Nothing else asks."""

from __future__ import annotations

from importlib.metadata import version

_major, _minor = version("apache-airflow-core").split(".")[:2]

#: Below there is no task state store; from 3.4 on, a user who clears a task empties it.
STATE_STORE_OUTLIVES_CLEAR = (int(_major), int(_minor)) == (3, 3)
