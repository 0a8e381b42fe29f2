"""A small client of Airflow's REST API: what a person does in the UI, for the demo and the live tests."""

from __future__ import annotations

from typing import Any

import requests

from dev.airflow.processes import until

REQUEST_SECONDS = 30
PAGE_SIZE = 100
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowApiError(RuntimeError):
    """Airflow refused a call."""


class AirflowApi:
    """The calls of `/api/v2` that the demo and the live tests need; `request` is there for any other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # A proxy from the environment must not stand between us and our own loopback.
        self._session.trust_env = False

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Call `/api/v2` + `path` and return the decoded answer."""
        address = f"{self.url}/api/v2{path}"
        response = self._session.request(method, address, timeout=REQUEST_SECONDS, **options)
        if not response.ok:
            raise AirflowApiError(f"{method} {path} -> {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None

    def pages(self, path: str, name: str, **query: Any) -> list[dict[str, Any]]:
        """Read a list to its end, page by page; `name` is where an answer has its entries."""
        entries: list[dict[str, Any]] = []
        while True:
            page = self.request("GET", path, params={**query, "limit": PAGE_SIZE, "offset": len(entries)})
            entries += page[name]
            if len(entries) >= page["total_entries"] or not page[name]:
                return entries

    def log_in(self) -> None:
        """Take the admin's token, which Airflow below 3.3 wants to see with each call."""
        answer = self._session.get(f"{self.url}/auth/token", timeout=REQUEST_SECONDS)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def warm_up(self) -> None:
        """Let the API server build the part that workers call, which it would else do while the first task waits."""
        self._session.get(f"{self.url}/execution/health", timeout=REQUEST_SECONDS).raise_for_status()

    def close(self) -> None:
        """Give the connections back, so that the API server need not wait for them when it stops."""
        self._session.close()

    def health(self) -> dict[str, str]:
        """Return the status by component; empty while the API server does not answer yet."""
        try:
            report = self.request("GET", "/monitor/health")
        except (requests.ConnectionError, AirflowApiError):
            return {}
        return {name: part["status"] for name, part in report.items() if part.get("status")}

    def import_errors(self) -> list[str]:
        """Return what the DAG processor could not import, one text per file."""
        errors = self.request("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}\n{error['stack_trace']}" for error in errors]

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60) -> None:
        """Wait until the DAG has been parsed; a file that cannot be imported ends the wait at once."""

        def parsed() -> bool:
            if errors := self.import_errors():
                raise AirflowApiError("A DAG file cannot be imported:\n" + "\n".join(errors))
            known = self.request("GET", "/dags", params={"dag_id_pattern": dag_id})["dags"]
            return dag_id in {dag["dag_id"] for dag in known}

        until(parsed, timeout=timeout, what=f"the DAG {dag_id} to be parsed")

    def trigger(self, dag_id: str, *, conf: dict[str, Any] | None = None) -> DagRun:
        """Start a run of a DAG."""
        body = {"logical_date": None, "conf": conf or {}}
        run = self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)
        return DagRun(self, dag_id, run["dag_run_id"])

    def pool(self, name: str = "default_pool") -> dict[str, Any]:
        """Return the slots of a pool as Airflow counts them: running, queued, deferred, open."""
        pool: dict[str, Any] = self.request("GET", f"/pools/{name}")
        return pool

    def set_connection(self, conn_id: str, **fields: Any) -> None:
        """Create a connection, or replace the one of that name."""
        body = {"connection_id": conn_id, **fields}
        action = {"action": "create", "entities": [body], "action_on_existence": "overwrite"}
        self.request("PATCH", "/connections", json={"actions": [action]})

    def delete_connection(self, conn_id: str) -> None:
        """Delete a connection."""
        self.request("DELETE", f"/connections/{conn_id}")


class DagRun:
    """One run of one DAG, as the REST API shows it."""

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
        Return all task instances, mapped ones included, in the order in which Airflow lists them.

        :param query: which ones, as `/taskInstances` names it: `state`, `task_id`, `try_number`.
        """
        return self.api.pages(f"{self._path}/taskInstances", "task_instances", **query)

    def count(self, **query: Any) -> int:
        """Return how many task instances `tasks` would return, without reading them."""
        found: int = self.api.request("GET", f"{self._path}/taskInstances", params={**query, "limit": 1})[
            "total_entries"
        ]
        return found

    def task(self, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance."""
        suffix = "" if map_index < 0 else f"/{map_index}"
        task: dict[str, Any] = self.api.request("GET", f"{self._path}/taskInstances/{task_id}{suffix}")
        return task

    def xcom(self, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """Return the value a task pushed under a key, or `None` while it has not."""
        query = {"xcom_key_pattern": key, "map_index": map_index}
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries"
        entries = self.api.request("GET", path, params=query)["xcom_entries"]
        if key not in {entry["key"] for entry in entries}:
            return None
        query = {"map_index": map_index, "deserialize": False, "stringify": False}
        return self.api.request("GET", f"{path}/{key}", params=query)["value"]

    def links(self, task_id: str, *, map_index: int = -1) -> dict[str, str | None]:
        """Return the extra links of a task, by the name on their button."""
        path = f"{self._path}/taskInstances/{task_id}/links"
        links = self.api.request("GET", path, params={"map_index": map_index})["extra_links"]
        return dict(links)

    def log(self, task_id: str, *, try_number: int = 1, map_index: int = -1) -> list[dict[str, Any]]:
        """Return the log of one try, one dict per line with at least `event`."""
        path = f"{self._path}/taskInstances/{task_id}/logs/{try_number}"
        query = {"full_content": True, "map_index": map_index}
        lines: list[dict[str, Any]] = self.api.request("GET", path, params=query)["content"]
        return lines

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """
        Return Airflow's audit log of this run, oldest first: who was `running`, `deferred`, `success`, and when.

        :param query: what to look for, as `/eventLogs` names it: `event`, `after`, `before`.
        """
        query |= {"dag_id": self.dag_id, "run_id": self.run_id, "order_by": "when"}
        return self.api.pages("/eventLogs", "event_logs", **query)

    def state_store(self, task_id: str) -> dict[str, Any]:
        """Return what a task keeps in its state store (Airflow 3.3 and later)."""
        path = f"{self._path}/taskInstances/{task_id}/state-store"
        page: dict[str, Any] = self.api.request("GET", path)
        return page

    def set_task_state(self, task_id: str, state: str) -> None:
        """Mark a task instance as `success`, `failed` or `skipped`, as the buttons of the UI do."""
        self.api.request("PATCH", f"{self._path}/taskInstances/{task_id}", json={"new_state": state})

    def clear(self, *task_ids: str) -> None:
        """Clear task instances, so that Airflow runs them again."""
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
        """Wait until a task is in one of the states; one that finished otherwise ends the wait at once."""

        def reached() -> str | None:
            state: str | None = self.task(task_id, map_index=map_index)["state"]
            if state in states:
                return state
            if state in FINISHED:
                raise AirflowApiError(f"{task_id} ended as {state}, expected {' or '.join(states)}.")
            return None

        return until(reached, timeout=timeout, what=f"{task_id} to be {' or '.join(states)}")

    def wait(self, *, timeout: float = 60) -> str:
        """Wait until the run has finished and return its state."""

        def finished() -> str | None:
            state = self.state()
            return state if state in FINISHED else None

        return until(finished, timeout=timeout, what=f"the run of {self.dag_id} to finish")
