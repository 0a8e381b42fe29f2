"""The account that a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.models.connection import Connection

from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection as AnyConnection


class AccountHook(VideoDBBillingHook):
    """
    VideoDB's billing API, for a command.

    A task asks the API server for its connection. A command reads it itself, from a secrets backend or the database.
    """

    @classmethod
    def get_connection(cls, conn_id: str) -> AnyConnection:
        """Return the connection, as Airflow's own commands read it."""
        found: AnyConnection = Connection.get_connection_from_secrets(conn_id)
        return found
