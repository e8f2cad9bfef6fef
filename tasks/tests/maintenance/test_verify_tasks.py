"""``manage.py verify_tasks``."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import uuid4

import pytest
import sqlparse
from django.db import connection, transaction
from django.utils import timezone

from changes.models import Epoch
from tasks.maintenance.verification import CONSTRAINTS, INDEXES, RuleCheck
from tasks.models import Task
from tasks.rules import LATEST, MAX_VERSION
from tasks.tests.factories import TaskFactory
from tasks.tests.test_constraints import BROKEN, OTHER_FORMS
from testing.commands import failure, run_command, success

pytestmark = pytest.mark.django_db

on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL refuses such values")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such constraint or type")

TABLE = Task._meta.db_table

#: The triggers of the change feed, and those that refuse writes of users who move.
TRIGGERS = [
    f"{TABLE}_{name}"
    for name in (
        (
            *("change_insert", "change_update", "change_deletion", "change_owner"),
            *("moving_user_insert", "moving_user_update", "moving_user_deletion"),
        )
        if connection.vendor == "sqlite"
        else (
            *("change_number", "change_deletion", "change_owner", "change_truncation"),
            *("moving_user", "moving_user_deletion"),
        )
    )
]

parse_sql = cache(sqlparse.parse)


@pytest.fixture(autouse=True)
def cached_introspection(monkeypatch):
    """Parse each ``CREATE TABLE`` once, because Django's parser takes most of these tests' time."""
    monkeypatch.setattr("sqlparse.parse", parse_sql)


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def drop_trigger(trigger):
    execute(f"DROP TRIGGER {trigger}{'' if connection.vendor == 'sqlite' else f' ON {TABLE}'}")


@contextmanager
def unenforced(constraint):
    """Disable a constraint for the writes in the block; afterwards it holds for new writes."""
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


def verify(*options):
    return run_command("verify_tasks", *options)


def findings(*lines, tasks=0):
    """Return the result of a verification that prints these findings."""
    summary = f"Verified {tasks} task{'s' * (tasks != 1)}; findings: {len(lines)}"
    if not lines:
        return success(f"{summary}\n")
    return failure(f"Findings: {len(lines)}", 1, out="\n".join([*lines, summary, ""]))


def found(result):
    """Return the findings of ``--json`` by name, without those of kind ``invalid``."""
    return {finding["name"]: finding for finding in json.loads(result.out)["findings"] if finding["kind"] != "invalid"}


def rule(name, *tasks):
    return {"kind": "rule", "name": name, "tasks": len(tasks), "sample": [str(task.id) for task in tasks]}


def test_valid_tasks_give_no_finding():
    TaskFactory.create_batch(3)
    TaskFactory(trashed=True)
    assert verify() == success("Verified 4 tasks; findings: 0\n")
    assert verify("--json") == success('{"verified": 4, "mended": [], "findings": []}\n')


def test_empty_table_gives_no_finding():
    assert verify() == success("Verified 0 tasks; findings: 0\n")


@pytest.mark.parametrize(("constraint", "values"), BROKEN)
def test_task_that_breaks_constraint_found(constraint, values):
    """``test_constraints`` shows that the constraint refuses the same write."""
    valid = TaskFactory(created_at=datetime(2026, 1, 11, tzinfo=UTC))
    task = TaskFactory(created_at=valid.created_at)
    with unenforced(constraint):
        Task.objects.filter(id=task.id).update(**values)
        task.id = values.get("id", task.id)
    result = verify("--json")
    assert result.code == 1
    assert found(result)[constraint] == rule(constraint, task)


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
def test_value_that_only_sqlite_stores_found(constraint, column, expression):
    task = TaskFactory()
    with unenforced(constraint):
        execute(f"UPDATE {TABLE} SET {column} = {expression}")
    assert found(verify("--json"))[constraint] == rule(constraint, task)


@on_sqlite
@pytest.mark.parametrize(("constraint", "column", "expression"), OTHER_FORMS)
def test_value_of_another_form_found(constraint, column, expression):
    """A malformed id is a special case, because batches are read in the order of ids."""
    valid = TaskFactory.create_batch(2)
    task = TaskFactory()
    with unenforced(constraint):
        execute(f"UPDATE {TABLE} SET {column} = {expression} WHERE id = '{task.id.hex}'")
    report = json.loads(verify("--json", "--batch-size=1").out)
    [finding] = [finding for finding in report["findings"] if finding["name"] == constraint]
    assert (report["verified"], finding["tasks"], len(finding["sample"])) == (len(valid) + 1, 1, 1)


@on_sqlite
def test_malformed_id_listed_as_stored():
    TaskFactory()
    with unenforced("task_id_is_uuid_7"):
        execute(f"UPDATE {TABLE} SET id = 'zzzz'")
    assert verify() == findings("task_id_is_uuid_7: broken by 1 task, such as zzzz", tasks=1)


@on_postgresql
def test_time_that_only_postgresql_stores_found():
    task = TaskFactory()
    with unenforced("task_times_in_rfc_3339"):
        execute(f"UPDATE {TABLE} SET updated_at = 'infinity'")
    assert found(verify("--json"))["task_times_in_rfc_3339"] == rule("task_times_in_rfc_3339", task)


def test_report_has_a_line_per_finding():
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ")
    execute("DROP INDEX task_deleted")
    invalid = ["task_title_trimmed: invalid"] if connection.vendor == "postgresql" else []
    broken = f"task_title_trimmed: broken by 1 task, such as {task.id}"
    assert verify() == findings(broken, "task_deleted: missing", *invalid, tasks=1)


def test_finding_of_many_tasks_lists_ten_ids():
    TaskFactory.create_batch(25, title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ")
    finding = found(verify("--json", "--batch-size=4"))["task_title_trimmed"]
    first = [str(id_) for id_ in Task.objects.order_by("id").values_list("id", flat=True)[:10]]
    assert (finding["tasks"], finding["sample"]) == (25, first)


def test_update_in_the_future_found():
    TaskFactory(updated_at=timezone.now() + timedelta(seconds=30))
    task = TaskFactory(updated_at=timezone.now() + timedelta(minutes=2))
    assert found(verify("--json")) == {"updated_in_the_future": rule("updated_in_the_future", task)}


def test_version_above_maximum_found():
    TaskFactory(version=MAX_VERSION)
    task = TaskFactory(version=MAX_VERSION + 1)
    assert found(verify("--json")) == {"version_too_high": rule("version_too_high", task)}


def test_task_written_during_check_not_in_the_future(monkeypatch):
    rules, now = RuleCheck(), timezone.now()
    TaskFactory(updated_at=now + timedelta(minutes=5))
    monkeypatch.setattr("tasks.maintenance.verification.timezone.now", lambda: now + timedelta(minutes=5))
    assert (rules.check(Task.objects.all()), rules.findings()) == (1, [])


def test_single_user_owner_in_other_mode_found(settings):
    task = TaskFactory()
    TaskFactory(foreign=True)
    assert found(verify("--json")) == {}
    settings.AUTH_MODE = "jwt"
    assert found(verify("--json")) == {"owner_of_single_user_mode": rule("owner_of_single_user_mode", task)}


def test_owner_that_no_token_names_found():
    TaskFactory(user_id="!~")
    tasks = [TaskFactory(user_id=user_id) for user_id in ("two words", "a\x1b[31m", "\u200b", "\ufffd", "älice")]
    assert found(verify("--json")) == {"owner_of_no_token": rule("owner_of_no_token", *tasks)}


@on_sqlite
@pytest.mark.parametrize("field", ["title", "description"])
def test_text_that_is_not_utf8_found(field):
    """SQLite reads these bytes as characters, so the constraints accept them."""
    tasks = TaskFactory.create_batch(3)
    for task, damaged in zip(tasks, ("41F09F92", "41F5808080", "41F48FBFBF80"), strict=True):
        execute(f"UPDATE {TABLE} SET {field} = CAST(X'{damaged}' AS TEXT) WHERE id = '{task.id.hex}'")
    TaskFactory(title="Müll \N{DECIDUOUS TREE} \ufffd", description="")
    assert found(verify("--json")) == {"text_of_no_utf8": rule("text_of_no_utf8", *tasks)}


@pytest.mark.parametrize("index", INDEXES)
def test_missing_index_found(index):
    execute(f"DROP INDEX {index}")
    assert verify() == findings(f"{index}: missing")


@on_postgresql
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_missing_constraint_found(constraint):
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT {constraint}")
    assert verify() == findings(f"{constraint}: missing")


@on_sqlite
def test_missing_parts_of_sqlite_table_found():
    columns = ", ".join(f'"{field.column}" {field.db_type(connection)}' for field in Task._meta.concrete_fields)
    execute(f"ALTER TABLE {TABLE} RENAME TO kept", f"CREATE TABLE {TABLE} ({columns})")
    missing = {finding["name"] for finding in json.loads(verify("--json").out)["findings"]}
    assert missing == {
        *CONSTRAINTS,
        *INDEXES,
        "primary key id",
        *(f"not null {field.column}" for field in Task._meta.concrete_fields if not field.null),
        *TRIGGERS,
    }


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_missing_trigger_found(trigger):
    drop_trigger(trigger)
    assert verify() == findings(f"{trigger}: missing")


@on_postgresql
@pytest.mark.parametrize("change", ["DISABLE", "ENABLE REPLICA"])
def test_disabled_trigger_found(change):
    execute(f"ALTER TABLE {TABLE} {change} TRIGGER {TABLE}_change_number")
    assert verify() == findings(f"{TABLE}_change_number: disabled")
    execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {TABLE}_change_number")
    assert verify() == findings()


@on_postgresql
def test_nullable_column_and_missing_primary_key_found():
    execute(f"ALTER TABLE {TABLE} ALTER title DROP NOT NULL", f"ALTER TABLE {TABLE} DROP CONSTRAINT {TABLE}_pkey")
    assert sorted(found(verify("--json"))) == ["not null title", "primary key id"]


@on_postgresql
def test_constraint_never_validated_found():
    with unenforced("task_version_positive"):
        pass
    assert verify() == findings("task_version_positive: invalid")


def test_verification_without_fix_writes_nothing(stored):
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ")
    before = stored()
    verify()
    assert stored() == before
    assert [row["id"] for row in before] == [task.id]


def test_fix_repairs_title_and_updated_at():
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"), unenforced("task_updated_after_created"):
        Task.objects.update(title=" a\u3000", updated_at=task.created_at - timedelta(days=1))
    result = verify("--fix", "--json")
    report = json.loads(result.out)
    rules = [finding for finding in report["mended"] if finding["kind"] == "rule"]
    assert rules == [rule("task_title_trimmed", task), rule("task_updated_after_created", task)]
    assert (report["findings"] if connection.vendor == "sqlite" else found(result)) in ([], {})
    repaired = Task.objects.get()
    assert (repaired.title, repaired.updated_at >= repaired.created_at) == ("a", True)
    assert repaired.version > 1


def test_fix_keeps_task_that_breaks_other_rules(stored):
    task = TaskFactory(title="a")
    with unenforced("task_description_characters"), unenforced("task_title_trimmed"):
        Task.objects.update(title="a ", description="a\bb")
    before = stored()
    result = verify("--fix", "--json")
    assert (found(result), result.code) == (
        {name: rule(name, task) for name in ("task_title_trimmed", "task_description_characters")},
        1,
    )
    assert stored() == before


@pytest.mark.parametrize("values", [{"version": 2**63 - 1}, {"updated_at": LATEST}])
def test_fix_keeps_task_that_cannot_be_written(stored, values):
    task = TaskFactory(title="a")
    with unenforced("task_title_trimmed"):
        Task.objects.update(title="a ", **values)
    before = stored()
    result = verify("--fix", "--json")
    assert (found(result)["task_title_trimmed"], result.code) == (rule("task_title_trimmed", task), 1)
    assert stored() == before


def test_fix_keeps_task_created_in_the_future(stored):
    task = TaskFactory(created_at=timezone.now() + timedelta(days=1))
    with unenforced("task_updated_after_created"):
        Task.objects.update(updated_at=timezone.now())
    before = stored()
    result = verify("--fix", "--json")
    assert (found(result)["task_updated_after_created"], result.code) == (rule("task_updated_after_created", task), 1)
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_fix_builds_missing_index():
    """The test runs outside a transaction, because ``CREATE INDEX CONCURRENTLY`` refuses one."""
    execute("DROP INDEX task_deleted")
    assert verify("--fix") == success("Fixed: task_deleted: missing\nVerified 0 tasks; findings: 0\n")
    assert verify() == success("Verified 0 tasks; findings: 0\n")


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_fix_rebuilds_invalid_index():
    execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'task_deleted'::regclass")
    assert verify("--fix") == success("Fixed: task_deleted: invalid\nVerified 0 tasks; findings: 0\n")


@pytest.mark.django_db(transaction=True)
def test_fix_restores_triggers_and_begins_epoch():
    """Without the new epoch, an app would never get a change that no trigger has numbered."""
    before = Epoch.objects.get().value
    drop_trigger(TRIGGERS[0])
    fixed = success(f"Fixed: {TRIGGERS[0]}: missing\nVerified 0 tasks; findings: 0\n")
    assert verify("--fix") == fixed
    TaskFactory()
    assert Task.objects.get().change_number > 0
    assert Epoch.objects.get().value != before


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("constraint", ["task_version_positive", "task_title_characters", "task_times_in_rfc_3339"])
def test_fix_adds_same_constraint_as_migration(constraint):
    definition = f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'"
    before = value(definition)
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT {constraint}")
    assert verify("--fix") == success(f"Fixed: {constraint}: missing\nVerified 0 tasks; findings: 0\n")
    assert value(definition) == before


def value(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


@on_postgresql
def test_fix_adds_no_constraint_that_a_task_breaks():
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT task_id_is_uuid_7")
    task = TaskFactory(id=uuid4())
    broken = f"task_id_is_uuid_7: broken by 1 task, such as {task.id}"
    assert verify("--fix") == findings(broken, "task_id_is_uuid_7: missing", tasks=1)
    with transaction.atomic():
        Task.objects.toggle()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_fix_does_not_wait_for_open_transaction():
    """Otherwise every request would wait behind the command."""
    execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT task_version_positive")
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {TABLE}")
        assert verify("--fix") == findings("task_version_positive: missing")
    finally:
        other.close()
    assert verify("--fix").code == 0
