"""The migrations to due dates, priorities, labels and times of completion, forwards and backwards."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from uuid_utils.compat import uuid7

from database.migration_operations import AddConstraints, ValidateConstraints
from tasks.models import Task

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRESQL = pytest.mark.skipif(
    "config.getoption('database') == 'sqlite'", reason="One process of one version uses a SQLite database"
)

BEFORE, AFTER = "0006_user_id_validator", "0008_planning_indexes"
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
UPDATED = CREATED + timedelta(days=1)
MOMENT = timedelta(microseconds=1)

OLD_COLUMNS = "id, user_id, title, description, completed, created_at, updated_at, version, deleted_at"
INSERT = f"INSERT INTO tasks_task ({OLD_COLUMNS}) VALUES (%s, 'default', 'Task', '', %s, %s, %s, 1, NULL)"
TOGGLE = "UPDATE tasks_task SET completed = NOT completed, updated_at = %s, version = version + 1"
COMPLETE = "UPDATE tasks_task SET completed = true, updated_at = %s, version = version + 1"
CHANGE_TITLE = "UPDATE tasks_task SET title = 'Changed', updated_at = %s, version = version + 1"
CONSTRAINTS = (
    *("task_completed_at_while_completed", "task_due_form", "task_labels_max_number", "task_labels_names"),
    "task_priority_known",
)
NEW_VALUES = {"due": None, "priority": 0, "labels": frozenset()}


def migrate(*target):
    call_command("migrate", *target, verbosity=0, stdout=StringIO())


@pytest.fixture
def old_schema():
    """Migrate back to the schema of the previous version, and forwards again after the test."""
    migrate("tasks", BEFORE)
    yield
    migrate()


def run(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def insert(*, completed, number=1):
    """Insert tasks as the previous version does, and return their ids."""
    ids = [uuid7() for _ in range(number)]
    field = Task._meta.pk
    for each in ids:
        stored_id = field.get_db_prep_value(each, connection)
        run(INSERT, stored_id, completed, *(connection.ops.adapt_datetimefield_value(at) for at in (CREATED, UPDATED)))
    return ids


def completed_times():
    """Return ``completed`` and ``completed_at`` of all tasks, without repetition."""
    return set(Task.objects.values_list("completed", "completed_at"))


def constraint_names():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "tasks_task")
    return {name for name in (*CONSTRAINTS, "task_due", "task_priority") if name in found}


def test_completed_tasks_get_time_of_last_write(old_schema, monkeypatch):
    open_ids = insert(completed=False, number=20)
    completed_ids = insert(completed=True, number=300)
    monkeypatch.setattr("tasks.migrations.0008_planning_indexes.BATCH_SIZE", 70, raising=True)
    migrate("tasks", AFTER)
    assert completed_times() == {(False, None), (True, UPDATED)}
    assert set(Task.objects.filter(completed=True).values_list("id", flat=True)) == set(completed_ids)
    first_open = Task.objects.filter(id=open_ids[0])
    assert first_open.values(*NEW_VALUES, "version", "updated_at").get() == {
        **NEW_VALUES,
        "version": 1,
        "updated_at": UPDATED,
    }


def test_migration_backwards_keeps_the_old_columns(old_schema):
    insert(completed=True)
    migrate("tasks", AFTER)
    Task.objects.update(due="2026-12-24", priority=3, labels=frozenset({"home"}))
    assert constraint_names() == {*CONSTRAINTS, "task_due", "task_priority"}
    migrate("tasks", BEFORE)
    assert constraint_names() == set()
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, "tasks_task")}
        cursor.execute("SELECT title, completed FROM tasks_task")
        assert [(title, bool(completed)) for title, completed in cursor.fetchall()] == [("Task", True)]
    assert columns == set(OLD_COLUMNS.split(", "))
    migrate("tasks", AFTER)
    assert list(Task.objects.values(*NEW_VALUES)) == [NEW_VALUES]


def test_new_constraint_refuses_after_migration(old_schema):
    insert(completed=False)
    migrate("tasks", AFTER)
    with pytest.raises(IntegrityError, match="task_priority_known"):
        Task.objects.update(priority=4)


@ON_POSTGRESQL
def test_migrated_constraints_and_indexes_are_valid(old_schema):
    insert(completed=True)
    migrate("tasks", AFTER)
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated")
        assert cursor.fetchall() == []
        cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        assert cursor.fetchall() == []


@ON_POSTGRESQL
@pytest.mark.parametrize("schema", [("tasks", "0007_planning"), ("tasks", AFTER), ("tasks",)])
def test_old_insert_on_new_schema_sets_completed_at(schema, old_schema):
    migrate(*schema)
    insert(completed=True)
    insert(completed=False)
    assert completed_times() == {(True, UPDATED), (False, None)}
    assert list(Task.objects.values(*NEW_VALUES)) == [NEW_VALUES] * 2


@ON_POSTGRESQL
@pytest.mark.parametrize("schema", [("tasks", "0007_planning"), ("tasks", AFTER), ("tasks",)])
def test_old_updates_on_new_schema_set_completed_at(schema, old_schema):
    insert(completed=True)
    migrate(*schema)
    run(CHANGE_TITLE, UPDATED + MOMENT)
    assert completed_times() == {(True, UPDATED)}
    run(TOGGLE, UPDATED + 2 * MOMENT)
    assert completed_times() == {(False, None)}
    run(TOGGLE, UPDATED + 3 * MOMENT)
    run(COMPLETE, UPDATED + 4 * MOMENT)
    run(CHANGE_TITLE, UPDATED + 5 * MOMENT)
    assert completed_times() == {(True, UPDATED + 3 * MOMENT)}
    assert list(Task.objects.values_list("title", "version")) == [("Changed", 6)]


@ON_POSTGRESQL
def test_control_without_trigger_old_insert_fails(old_schema):
    migrate("tasks", AFTER)
    run("ALTER TABLE tasks_task DISABLE TRIGGER task_set_completed_at")
    with pytest.raises(IntegrityError, match="task_completed_at_while_completed"):
        insert(completed=True)


def test_operations_describe_their_constraints():
    constraints = [each for each in Task._meta.constraints if each.name in ("task_due_form", "task_labels_names")]
    assert AddConstraints("task", constraints).describe() == "Add constraints task_due_form, task_labels_names on task"
    assert ValidateConstraints("task", ["task_due_form"]).describe() == "Validate constraints task_due_form on task"
