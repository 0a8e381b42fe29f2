"""
Brings VideoDB into Airflow's UI.

Every process of Airflow imports this module, so it imports nothing else of this package.
"""

from airflow.providers.common.compat.sdk import AirflowPlugin


class VideoDBPlugin(AirflowPlugin):
    """The plugin that the entry point ``airflow.plugins`` names."""

    name = "videodb"
