"""A client of Airflow's REST API."""

from __future__ import annotations

from typing import Any

import requests

from dev.airflow.processes import until

REQUEST_SECONDS = 30
PAGE_SIZE = 100
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowApiError(RuntimeError):
    """Airflow rejected a call."""


class AirflowApi:
    """Calls of `/api/v2`; `request` makes those without a method."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # Airflow listens on 127.0.0.1, which a proxy must not intercept.
        self._session.trust_env = False

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Call `/api/v2` + `path` and return the decoded response."""
        address = f"{self.url}/api/v2{path}"
        response = self._session.request(method, address, timeout=REQUEST_SECONDS, **options)
        if not response.ok:
            raise AirflowApiError(f"{method} {path} -> {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None

    def pages(self, path: str, name: str, **query: Any) -> list[dict[str, Any]]:
        """
        Return all entries of a paginated list.

        :param name: the field of a page that holds its entries.
        """
        entries: list[dict[str, Any]] = []
        while True:
            page = self.request("GET", path, params={**query, "limit": PAGE_SIZE, "offset": len(entries)})
            entries += page[name]
            if len(entries) >= page["total_entries"] or not page[name]:
                return entries

    def log_in(self, user: str | None = None) -> None:
        """
        Send a token, which Airflow 3.2 requires.

        :param user: the name, which is also the password. `None` is the admin of an Airflow without users.
        """
        address = f"{self.url}/auth/token"
        if user is None:
            response = self._session.get(address, timeout=REQUEST_SECONDS)
        else:
            response = self._session.post(address, json={"username": user, "password": user}, timeout=REQUEST_SECONDS)
        response.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def warm_up(self) -> None:
        """Load the workers' API before the first task."""
        self._session.get(f"{self.url}/execution/health", timeout=REQUEST_SECONDS).raise_for_status()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self) -> dict[str, str]:
        """Return the status of each component."""
        try:
            report = self.request("GET", "/monitor/health")
        except (requests.ConnectionError, AirflowApiError):
            return {}
        return {name: part["status"] for name, part in report.items() if part.get("status")}

    def import_errors(self) -> list[str]:
        """Return why Airflow cannot import DAG files."""
        errors = self.request("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}\n{error['stack_trace']}" for error in errors]

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60) -> None:
        """
        Wait until Airflow has parsed the DAG.

        It fails at once if Airflow cannot import a DAG file.
        """

        def parsed() -> bool:
            if errors := self.import_errors():
                raise AirflowApiError("Airflow cannot import a DAG file:\n" + "\n".join(errors))
            known = self.request("GET", "/dags", params={"dag_id_pattern": dag_id})["dags"]
            return dag_id in {dag["dag_id"] for dag in known}

        until(parsed, timeout=timeout, what=f"the DAG {dag_id} to be parsed")

    def trigger(self, dag_id: str, *, conf: dict[str, Any] | None = None) -> DagRun:
        """Start a run of a DAG."""
        body = {"logical_date": None, "conf": conf or {}}
        run = self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)
        return DagRun(self, dag_id, run["dag_run_id"])

    def pool(self, name: str = "default_pool") -> dict[str, Any]:
        """Return the slots of a pool, by state."""
        pool: dict[str, Any] = self.request("GET", f"/pools/{name}")
        return pool

    def set_connection(self, conn_id: str, **fields: Any) -> None:
        """Create or replace a connection."""
        body = {"connection_id": conn_id, **fields}
        action = {"action": "create", "entities": [body], "action_on_existence": "overwrite"}
        self.request("PATCH", "/connections", json={"actions": [action]})

    def delete_connection(self, conn_id: str) -> None:
        """Delete a connection."""
        self.request("DELETE", f"/connections/{conn_id}")


class DagRun:
    """One run of one DAG."""

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        self.api = api
        self.dag_id = dag_id
        self.run_id = run_id
        self._path = f"/dags/{dag_id}/dagRuns/{run_id}"

    def state(self) -> str:
        """Return the state of the run."""
        state: str = self.api.request("GET", self._path)["state"]
        return state

    def tasks(self, **query: Any) -> list[dict[str, Any]]:
        """
        Return task instances, mapped ones included.

        :param query: filters of `/taskInstances`, such as `state`, `task_id`, `try_number`.
        """
        return self.api.pages(f"{self._path}/taskInstances", "task_instances", **query)

    def count(self, **query: Any) -> int:
        """Count the task instances that `tasks` would return."""
        page = self.api.request("GET", f"{self._path}/taskInstances", params={**query, "limit": 1})
        return int(page["total_entries"])

    def task(self, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance."""
        suffix = "" if map_index < 0 else f"/{map_index}"
        task: dict[str, Any] = self.api.request("GET", f"{self._path}/taskInstances/{task_id}{suffix}")
        return task

    def xcom(self, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """Return an XCom value of a task, or `None`."""
        query = {"xcom_key_pattern": key, "map_index": map_index}
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries"
        entries = self.api.request("GET", path, params=query)["xcom_entries"]
        if key not in {entry["key"] for entry in entries}:
            return None
        query = {"map_index": map_index, "deserialize": False, "stringify": False}
        return self.api.request("GET", f"{path}/{key}", params=query)["value"]

    def links(self, task_id: str, *, map_index: int = -1) -> dict[str, str | None]:
        """Return the links of a task, by button."""
        path = f"{self._path}/taskInstances/{task_id}/links"
        links = self.api.request("GET", path, params={"map_index": map_index})["extra_links"]
        return dict(links)

    def log(self, task_id: str, *, try_number: int = 1, map_index: int = -1) -> list[dict[str, Any]]:
        """Return the log of one try, line by line."""
        path = f"{self._path}/taskInstances/{task_id}/logs/{try_number}"
        query = {"full_content": True, "map_index": map_index}
        lines: list[dict[str, Any]] = self.api.request("GET", path, params=query)["content"]
        return lines

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """
        Return Airflow's audit log of this run, oldest first.

        It tells when each task became `running`, `deferred`, `success`.

        :param query: filters of `/eventLogs`, such as `event`, `after`, `before`.
        """
        query |= {"dag_id": self.dag_id, "run_id": self.run_id, "order_by": "when"}
        return self.api.pages("/eventLogs", "event_logs", **query)

    def set_task_state(self, task_id: str, state: str) -> None:
        """Mark a task, as the UI's buttons do."""
        self.api.request("PATCH", f"{self._path}/taskInstances/{task_id}", json={"new_state": state})

    def clear(self, *task_ids: str) -> None:
        """
        Clear tasks, so that Airflow runs them again.

        First wait for the end of a run that is ending. Otherwise the scheduler overwrites the state that the clear set,
        and the run stays ended.
        """
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "include_downstream": False,
            "reset_dag_runs": True,
        }
        self.api.request("POST", f"/dags/{self.dag_id}/clearTaskInstances", json=body)

    def wait_for_task(self, task_id: str, *states: str, timeout: float = 60, map_index: int = -1) -> str:
        """
        Wait until a task has one of these states.

        It fails at once if the task ends in another one.
        """

        def reached() -> str | None:
            state: str | None = self.task(task_id, map_index=map_index)["state"]
            if state in states:
                return state
            if state in FINISHED:
                raise AirflowApiError(f"{task_id} ended as {state} instead of {' or '.join(states)}.")
            return None

        return until(reached, timeout=timeout, what=f"{task_id} to be {' or '.join(states)}")

    def wait(self, *, timeout: float = 60) -> str:
        """Wait for the end and return the state."""

        def finished() -> str | None:
            state = self.state()
            return state if state in FINISHED else None

        return until(finished, timeout=timeout, what=f"the run of {self.dag_id} to finish")
