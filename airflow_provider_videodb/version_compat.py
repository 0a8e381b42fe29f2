"""Which Airflow this is. Nothing else asks."""

from __future__ import annotations

from importlib.metadata import version

_major, _minor = version("apache-airflow-core").split(".")[:2]

#: Task state store, shared streams in the triggerer, templates in what starts from a trigger.
AIRFLOW_V_3_3_PLUS = (int(_major), int(_minor)) >= (3, 3)
