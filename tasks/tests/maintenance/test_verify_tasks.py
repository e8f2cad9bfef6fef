"""``manage.py verify_tasks``: what breaks a rule, and what the database no longer makes."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tasks.maintenance.verification import CONSTRAINTS, INDEXES, Rules
from tasks.models import LATEST, MAX_VERSION, Task
from tasks.tests.factories import TaskFactory
from tasks.tests.test_constraints import BROKEN, OF_ANOTHER_FORM
from testing.commands import Ended, done, run

pytestmark = pytest.mark.django_db

on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's own types admit no such value")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has nothing of the kind")

TABLE = Task._meta.db_table


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def unenforced(constraint):
    """Writes that the constraint does not see. It is there again afterwards, for what is written from then on."""
    if connection.vendor == "sqlite":
        execute("PRAGMA ignore_check_constraints = ON")
        yield
        execute("PRAGMA ignore_check_constraints = OFF")
    else:
        with connection.schema_editor(atomic=False) as editor:
            statement = CONSTRAINTS[constraint].create_sql(Task, editor)
        execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT {constraint}")
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"{statement} NOT VALID", None)


def found(ended):
    """The findings of ``--json`` by name, without the names of what is there but was not validated."""
    return {finding["name"]: finding for finding in json.loads(ended.out)["findings"] if finding["kind"] != "invalid"}


def rule(name, *tasks):
    return {"kind": "rule", "name": name, "tasks": len(tasks), "sample": [str(task.id) for task in tasks]}


def test_sound_tasks_are_sound():
    TaskFactory.create_batch(3)
    TaskFactory(trashed=True)
    assert run("verify_tasks") == done("Verified 4 tasks; findings: 0\n")
    assert run("verify_tasks", "--json") == done('{"verified": 4, "mended": [], "findings": []}\n')


def test_no_task_is_sound_too():
    assert run("verify_tasks") == done("Verified 0 tasks; findings: 0\n")


@pytest.mark.parametrize(("constraint", "values"), BROKEN)
def test_what_breaks_a_constraint_is_found_by_it(constraint, values):
    """The same writes that ``test_constraints`` shows to be refused."""
    sound = TaskFactory(created_at=datetime(2026, 1, 11, tzinfo=UTC))
    task = TaskFactory(created_at=sound.created_at)
    with unenforced(constraint):
        Task.objects.filter(id=task.id).update(**values)
        task.id = values.get("id", task.id)
    ended = run("verify_tasks", "--json")
    assert ended.code == 1
    assert found(ended)[constraint] == rule(constraint, task)


@on_sqlite
@pytest.mark.parametrize(
    ("constraint", "column", "expression"),
    [
        ("task_completed_is_boolean", "completed", "2"),
        ("task_times_in_rfc_3339", "updated_at", "'infinity'"),
        ("task_user_id_max_length", "user_id", f"'{'x' * 256}'"),
        ("task_title_max_length", "title", f"'{'x' * 201}'"),
        ("task_title_characters", "title", "'a' || CHAR(0) || 'b'"),
    ],
)
def test_what_only_sqlite_stores_is_found_too(constraint, column, expression):
    task = TaskFactory()
    with unenforced(constraint):
        execute(f"UPDATE {TABLE} SET {column} = {expression}")
    assert found(run("verify_tasks", "--json"))[constraint] == rule(constraint, task)


@on_sqlite
@pytest.mark.parametrize(("constraint", "column", "expression"), OF_ANOTHER_FORM)
def test_what_is_of_another_form_is_found(constraint, column, expression):
    """Where it is the id, too, by which tasks are read."""
    sound = TaskFactory.create_batch(2)
    task = TaskFactory()
    with unenforced(constraint):
        execute(f"UPDATE {TABLE} SET {column} = {expression} WHERE id = '{task.id.hex}'")
    report = json.loads(run("verify_tasks", "--json", "--batch-size=1").out)
    [finding] = [finding for finding in report["findings"] if finding["name"] == constraint]
    assert (report["verified"], finding["tasks"], len(finding["sample"])) == (len(sound) + 1, 1, 1)


@on_sqlite
def test_an_id_of_another_form_is_named_as_it_is_stored():
    TaskFactory()
    with unenforced("task_id_is_uuid_7"):
        execute(f"UPDATE {TABLE} SET id = 'zzzz'")
    assert run("verify_tasks") == Ended(
        "task_id_is_uuid_7: broken by 1 task, such as zzzz\nVerified 1 task; findings: 1\n",
        "CommandError: Findings: 1\n",
        1,
    )


@on_postgresql
def test_what_only_postgresql_stores_is_found_too():
    task = TaskFactory()
    with unenforced("task_times_in_rfc_3339"):
        execute(f"UPDATE {TABLE} SET updated_at = 'infinity'")
    assert found(run("verify_tasks", "--json"))["task_times_in_rfc_3339"] == rule("task_times_in_rfc_3339", task)


def test_a_person_reads_lines():
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ")
    execute("DROP INDEX task_deleted")
    not_valid = "task_title_trimmed: invalid\n" if connection.vendor == "postgresql" else ""
    findings = 3 if not_valid else 2
    assert run("verify_tasks") == Ended(
        f"task_title_trimmed: broken by 1 task, such as {task.id}\n"
        "task_deleted: missing\n"
        f"{not_valid}Verified 1 task; findings: {findings}\n",
        f"CommandError: Findings: {findings}\n",
        1,
    )


def test_a_finding_of_many_tasks_names_ten():
    TaskFactory.create_batch(25, title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ")
    finding = found(run("verify_tasks", "--json", "--batch-size=4"))["task_title_trimmed"]
    first = [str(id_) for id_ in Task.objects.order_by("id").values_list("id", flat=True)[:10]]
    assert (finding["tasks"], finding["sample"]) == (25, first)


def test_a_write_in_the_future_is_found():
    TaskFactory(updated_at=timezone.now() + timedelta(seconds=30))
    task = TaskFactory(updated_at=timezone.now() + timedelta(minutes=2))
    assert found(run("verify_tasks", "--json")) == {"updated_in_the_future": rule("updated_in_the_future", task)}


def test_a_version_that_leaves_no_room_is_found():
    TaskFactory(version=MAX_VERSION)
    task = TaskFactory(version=MAX_VERSION + 1)
    assert found(run("verify_tasks", "--json")) == {"version_too_high": rule("version_too_high", task)}


def test_what_is_written_while_it_reads_is_not_of_the_future(monkeypatch):
    rules, now = Rules(), timezone.now()
    TaskFactory(updated_at=now + timedelta(minutes=5))
    monkeypatch.setattr("tasks.maintenance.verification.timezone.now", lambda: now + timedelta(minutes=5))
    assert (rules.check(Task.objects.all()), rules.findings()) == (1, [])


def test_the_owner_of_single_user_mode_is_found_in_another_mode(settings):
    task = TaskFactory()
    TaskFactory(foreign=True)
    assert found(run("verify_tasks", "--json")) == {}
    settings.AUTH_MODE = "jwt"
    name = "owner_of_single_user_mode"
    assert found(run("verify_tasks", "--json")) == {name: rule(name, task)}


def test_an_owner_whom_no_token_names_is_found():
    TaskFactory(user_id="!~")
    tasks = [TaskFactory(user_id=user_id) for user_id in ("two words", "a\x1b[31m", "\u200b", "\ufffd", "älice")]
    name = "owner_of_no_token"
    assert found(run("verify_tasks", "--json")) == {name: rule(name, *tasks)}


@pytest.mark.parametrize("index", INDEXES)
def test_a_missing_index_is_found(index):
    execute(f"DROP INDEX {index}")
    assert run("verify_tasks") == Ended(
        f"{index}: missing\nVerified 0 tasks; findings: 1\n", "CommandError: Findings: 1\n", 1
    )


@on_postgresql
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_missing_constraint_is_found(constraint):
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT {constraint}")
    assert run("verify_tasks") == Ended(
        f"{constraint}: missing\nVerified 0 tasks; findings: 1\n", "CommandError: Findings: 1\n", 1
    )


@on_sqlite
def test_what_is_missing_of_a_table_of_sqlite_is_found():
    columns = ", ".join(f'"{field.column}" {field.db_type(connection)}' for field in Task._meta.concrete_fields)
    execute(f"ALTER TABLE {TABLE} RENAME TO kept", f"CREATE TABLE {TABLE} ({columns})")
    missing = {finding["name"] for finding in json.loads(run("verify_tasks", "--json").out)["findings"]}
    assert missing == {
        *CONSTRAINTS,
        *INDEXES,
        "primary key id",
        *(f"not null {field.column}" for field in Task._meta.concrete_fields if not field.null),
    }


@on_postgresql
def test_a_column_that_takes_null_and_a_missing_primary_key_are_found():
    execute(f"ALTER TABLE {TABLE} ALTER title DROP NOT NULL", f"ALTER TABLE {TABLE} DROP CONSTRAINT {TABLE}_pkey")
    assert sorted(found(run("verify_tasks", "--json"))) == ["not null title", "primary key id"]


@on_postgresql
def test_a_constraint_that_was_never_validated_is_found():
    with unenforced("task_version_positive"):
        pass
    assert run("verify_tasks").out == "task_version_positive: invalid\nVerified 0 tasks; findings: 1\n"


def test_it_only_reads(stored):
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ")
    before = stored()
    run("verify_tasks")
    assert stored() == before
    assert [row["id"] for row in before] == [task.id]


def test_fix_mends_what_loses_nothing():
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"), unenforced("task_updated_after_created"):
        Task.objects.update(title=" a\u3000", updated_at=task.created_at - timedelta(days=1))
    ended = run("verify_tasks", "--fix", "--json")
    report = json.loads(ended.out)
    rules = [finding for finding in report["mended"] if finding["kind"] == "rule"]
    assert rules == [rule("task_title_trimmed", task), rule("task_updated_after_created", task)]
    assert (report["findings"] if connection.vendor == "sqlite" else found(ended)) in ([], {})
    mended = Task.objects.get()
    assert (mended.title, mended.updated_at >= mended.created_at) == ("a", True)
    assert mended.version > 1


def test_fix_leaves_what_only_a_person_can_mend(stored):
    task = TaskFactory(title="a")
    with unenforced("task_description_characters"), unenforced("task_title_trimmed"):
        Task.objects.update(title="a ", description="a\bb")
    before = stored()
    ended = run("verify_tasks", "--fix", "--json")
    assert (found(ended), ended.code) == (
        {name: rule(name, task) for name in ("task_title_trimmed", "task_description_characters")},
        1,
    )
    assert stored() == before


@pytest.mark.parametrize("values", [{"version": 2**63 - 1}, {"updated_at": LATEST}])
def test_fix_leaves_a_task_that_no_write_can_reach(stored, values):
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ", **values)
    before = stored()
    ended = run("verify_tasks", "--fix", "--json")
    assert (found(ended)["task_title_trimmed"], ended.code) == (rule("task_title_trimmed", task), 1)
    assert stored() == before


def test_fix_leaves_a_task_that_was_made_in_the_future(stored):
    task = TaskFactory(created_at=timezone.now() + timedelta(days=1))
    with unenforced("task_updated_after_created"):
        Task.objects.update(updated_at=timezone.now())
    before = stored()
    ended = run("verify_tasks", "--fix", "--json")
    assert (found(ended)["task_updated_after_created"], ended.code) == (rule("task_updated_after_created", task), 1)
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_fix_builds_a_missing_index():
    """Outside of a transaction, as the command runs: ``CREATE INDEX CONCURRENTLY`` wants none."""
    execute("DROP INDEX task_deleted")
    assert run("verify_tasks", "--fix") == done("Mended: task_deleted: missing\nVerified 0 tasks; findings: 0\n")
    assert run("verify_tasks") == done("Verified 0 tasks; findings: 0\n")


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_fix_builds_an_index_anew_whose_building_failed():
    execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'task_deleted'::regclass")
    assert run("verify_tasks", "--fix") == done("Mended: task_deleted: invalid\nVerified 0 tasks; findings: 0\n")


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("constraint", ["task_version_positive", "task_title_characters", "task_times_in_rfc_3339"])
def test_fix_makes_a_missing_constraint_as_the_migration_did(constraint):
    definition = f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'"
    before = value(definition)
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT {constraint}")
    assert run("verify_tasks", "--fix") == done(f"Mended: {constraint}: missing\nVerified 0 tasks; findings: 0\n")
    assert value(definition) == before


def value(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


@on_postgresql
def test_fix_makes_no_constraint_that_a_task_breaks():
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT task_id_is_uuid_7")
    task = TaskFactory(id=uuid4())
    ended = run("verify_tasks", "--fix")
    assert ended.out == (
        f"task_id_is_uuid_7: broken by 1 task, such as {task.id}\n"
        "task_id_is_uuid_7: missing\n"
        "Verified 1 task; findings: 2\n"
    )
    with transaction.atomic():
        Task.objects.toggle()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_fix_does_not_wait_behind_somebodys_transaction():
    """For as long as it waited for its lock, every request would wait behind it."""
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT task_version_positive")
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {TABLE}")
        ended = run("verify_tasks", "--fix")
        assert (ended.out, ended.code) == ("task_version_positive: missing\nVerified 0 tasks; findings: 1\n", 1)
    finally:
        other.close()
    assert run("verify_tasks", "--fix").code == 0
