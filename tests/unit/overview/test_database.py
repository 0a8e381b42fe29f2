"""The records of holds in a real database."""

from __future__ import annotations

import pytest
from airflow.models.crypto import get_fernet
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import sessionmaker

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.overview.database import DatabaseStore, read_run_states
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.recorded import forget_records

KEY = "videodb/holds/a/x/t/h/5/1"

pytestmark = needs_listed_variables


@pytest.fixture
def store(airflow_db):
    return DatabaseStore()


@pytest.fixture
def broken_database(monkeypatch, tmp_path):
    """Let Airflow have a database without tables."""
    engine = create_engine(f"sqlite:///{tmp_path}/empty.db")
    monkeypatch.setattr("airflow.settings.Session", sessionmaker(bind=engine))


@pytest.fixture
def fernet(monkeypatch):
    """Let Airflow encrypt its Variables."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    get_fernet.cache_clear()
    yield
    monkeypatch.undo()
    get_fernet.cache_clear()


@pytest.fixture
def teams(monkeypatch, airflow_db):
    """Let Airflow run with the team `blue`."""
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    with create_session() as session:
        session.execute(text("INSERT INTO team (name) VALUES ('blue')"))
    yield
    forget_records()
    with create_session() as session:
        session.execute(text("DELETE FROM team"))


@pytest.fixture
def statements(airflow_db):
    from airflow import settings

    seen: list[str] = []

    def note(_connection, _cursor, statement, *_):
        seen.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    yield seen
    event.remove(settings.engine, "before_cursor_execute", note)


def test_record_is_written_replaced_read_and_deleted(store):
    assert store.read(KEY) is None
    store.write(KEY, "one")
    store.write(KEY, "twö")
    assert DatabaseStore().read(KEY) == "twö"
    store.delete(KEY)
    store.delete(KEY)
    assert DatabaseStore().read(KEY) is None


def test_tasks_read_what_the_command_line_wrote(store, fernet):
    store.write(KEY, "one")
    with create_session() as session:
        (row,) = session.scalars(select(Variable).where(Variable.key == KEY))
        assert row.get_val() == "one"
        assert row.is_encrypted


def test_listing_is_one_statement_and_brings_the_values(store, statements):
    store.write(KEY, "one")
    store.write(KEY + "0", "two")
    statements.clear()
    listing = store.list("videodb/holds/a/")
    assert len(statements) == 1
    assert listing.keys == (KEY, KEY + "0")
    assert listing.is_complete
    assert store.list("videodb/holds/a/", offset=1).keys == (KEY + "0",)
    statements.clear()
    assert [store.read(key) for key in listing.keys] == ["one", "two"]
    assert statements == []


def test_change_is_seen_after_a_listing(store):
    store.write(KEY, "one")
    store.list("videodb/holds/")
    store.write(KEY, "two")
    assert store.read(KEY) == "two"
    store.list("videodb/holds/")
    store.delete(KEY)
    assert store.read(KEY) is None


@pytest.mark.parametrize("other", ["videodb/holds/A/x/t/h/5/1", "videodb/holds-journal/a/1/x/t", "videodb/holdsXa/x"])
def test_listing_tells_similar_prefixes_apart(store, other):
    """SQLite does not tell capitals apart in LIKE, and `_` and `%` are patterns there."""
    store.write(other, "other")
    assert store.list("videodb/holds/a/").keys == ()


def test_other_variables_are_neither_seen_nor_touched(store):
    with create_session() as session:
        session.add(Variable(key="secret_password", val="hunter2"))
    for touch in (
        lambda: store.list("secret"),
        lambda: store.list(""),
        lambda: store.read("secret_password"),
        lambda: store.write("secret_password", "x"),
        lambda: store.delete("secret_password"),
    ):
        with pytest.raises(RuntimeError, match="may not touch"):
            touch()
    with create_session() as session:
        (row,) = session.scalars(select(Variable).where(Variable.key == "secret_password"))
        assert row.get_val() == "hunter2"
        session.delete(row)


def test_secrets_backend_is_not_asked(store, monkeypatch):
    monkeypatch.setenv(f"AIRFLOW_VAR_{KEY.upper()}", "from the environment")
    assert store.read(KEY) is None
    monkeypatch.setattr(
        "airflow.models.variable.ensure_secrets_loaded", lambda: pytest.fail("a secrets backend was asked")
    )
    store.write(KEY, "one")
    store.list("videodb/holds/")
    assert store.read(KEY) == "one"
    store.delete(KEY)


def test_database_that_cannot_be_read_is_an_error(broken_database):
    store = DatabaseStore()
    for read in (lambda: store.list("videodb/holds/"), lambda: store.read(KEY), lambda: read_run_states([("a", "b")])):
        with pytest.raises(
            VideoDBRecordUnreadableError, match=r"could not .*no such table.*Nothing was changed\. Next step: "
        ) as caught:
            read()
        assert "SELECT" not in str(caught.value)


def test_database_that_does_not_confirm_a_write_is_an_error(broken_database):
    store = DatabaseStore()
    for change in (lambda: store.write(KEY, "one"), lambda: store.delete(KEY)):
        with pytest.raises(VideoDBRecordNotKeptError, match=r"could not .* Next step: run `airflow db check`"):
            change()


def test_value_that_cannot_be_decrypted_is_an_error(store, fernet):
    store.write(KEY, "one")
    with create_session() as session:
        session.execute(text("UPDATE variable SET val = 'broken' WHERE key = :key"), {"key": KEY})
    with pytest.raises(VideoDBRecordUnreadableError, match=r"could not decrypt .* Fernet key"):
        DatabaseStore().read(KEY)


def test_new_record_belongs_to_the_team_of_its_account(store, teams):
    """A gate of a team lists only the records of its team."""
    store.write(KEY, "one")
    with create_session() as session:
        session.execute(text("UPDATE variable SET team_name = 'blue' WHERE key = :key"), {"key": KEY})
    store.list("videodb/holds/")
    store.write("videodb/holds-journal/a/1/x/t", "note")
    store.write("videodb/holds/b/x/t/h/5/1", "of no team")
    with create_session() as session:
        found = {row.key: row.team_name for row in session.scalars(select(Variable))}
    assert found["videodb/holds-journal/a/1/x/t"] == "blue"
    assert found["videodb/holds/b/x/t/h/5/1"] is None


def test_account_of_several_teams_is_not_changed(store, teams):
    store.write(KEY, "one")
    store.write(KEY + "0", "two")
    with create_session() as session:
        session.execute(text("UPDATE variable SET team_name = 'blue' WHERE key = :key"), {"key": KEY})
    store.list("videodb/holds/")
    with pytest.raises(VideoDBConfigError, match="several teams"):
        store.write(KEY + "1", "three")


def test_states_of_dag_runs_are_read_and_a_missing_one_has_none(airflow_db):
    from airflow.providers.standard.operators.empty import EmptyOperator

    with new_dag("states") as dag:
        EmptyOperator(task_id="nothing")
    finished = run(dag)
    known = (finished.dag_run.dag_id, finished.dag_run.run_id)
    assert read_run_states([known, ("other_dag", finished.dag_run.run_id), ("states", "deleted")]) == {known: "success"}
    assert read_run_states([("other_dag", finished.dag_run.run_id)]) == {}
    assert read_run_states([]) == {}


def test_many_dag_runs_are_read_in_parts(airflow_db, statements):
    read_run_states(("a", f"run_{number}") for number in range(1001))
    assert sum("dag_run" in statement for statement in statements) == 3
