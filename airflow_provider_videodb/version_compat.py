"""Which Airflow this is. Nothing else asks."""

from __future__ import annotations

from importlib.metadata import version

_major, _minor = version("apache-airflow-core").split(".")[:2]
_VERSION = (int(_major), int(_minor))

#: Below there is no task state store; from 3.4 on, a user who clears a task empties it.
STATE_STORE_OUTLIVES_CLEAR = _VERSION == (3, 3)

#: Below a task cannot list the Variables.
VARIABLES_CAN_BE_LISTED = _VERSION >= (3, 3)
