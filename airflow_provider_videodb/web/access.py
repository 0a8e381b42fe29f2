"""What the viewer may read, by Airflow's permissions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity, DagDetails
from airflow.models.connection import Connection
from airflow.models.dag import DagModel

if TYPE_CHECKING:
    from collections.abc import Collection

_GET: Any = "GET"


class Viewer:
    """
    One user, during one request.

    :param user: the user of Airflow's auth manager.
    """

    def __init__(self, user: Any) -> None:
        self._user = user
        # Airflow creates it after its plugins.
        self._auth: Any = get_auth_manager()
        self.may_read_tasks = cache(self._may_read_tasks)
        self._dags: Collection[str] | None = None

    def may_read_connection(self, conn_id: str) -> bool:
        """Say whether the viewer may read a connection."""
        details = ConnectionDetails(conn_id=conn_id, team_name=Connection.get_team_name(conn_id))
        return bool(self._auth.is_authorized_connection(method=_GET, details=details, user=self._user))

    def _may_read_tasks(self, dag_id: str) -> bool:
        """Say whether the viewer may read a DAG's tasks."""
        if self._dags is None:
            self._dags = self._auth.get_authorized_dag_ids(user=self._user, method=_GET)
        if dag_id not in self._dags:
            return False
        details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
        return all(
            self._auth.is_authorized_dag(method=_GET, access_entity=entity, details=details, user=self._user)
            for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
        )
