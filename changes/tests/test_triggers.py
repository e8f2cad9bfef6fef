"""The triggers: their numbers on SQLite, their removal and creation."""

import pytest
from django.conf import settings as project
from django.db import connection, models

from changes.models import Epoch, Removal
from changes.triggers import create_functions, create_refusal, refuse_moving_users, track_changes
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

on_sqlite = pytest.mark.skipif(
    "sqlite" not in project.DATABASES["default"]["ENGINE"], reason="PostgreSQL numbers transactions"
)

OWN = "LIKE 'tasks_task_%' OR {0} LIKE 'idempotency_%'"
TRIGGERS = {
    "sqlite": f"SELECT sql FROM sqlite_master WHERE type = 'trigger' AND (name {OWN.format('name')}) ORDER BY name",
    "postgresql": f"SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname {OWN.format('tgname')} ORDER BY 1",
}
NUMBER_OF_TRIGGERS = {"sqlite": 4 + 3 + 2, "postgresql": 4 + 2 + 1}


def triggers():
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS[connection.vendor])
        return cursor.fetchall()


def numbers(**conditions):
    return list(Task.objects.filter(**conditions).order_by("change_number").values_list("change_number", flat=True))


@on_sqlite
def test_each_write_gets_next_number_of_its_owner():
    first, second = TaskFactory(), TaskFactory()
    other = TaskFactory(foreign=True)
    assert (numbers(user_id="default"), numbers(id=other.id)) == ([1, 2], [1])
    Task.objects.filter(id=first.id).toggle()
    assert numbers(id=first.id) == [3]
    Task.objects.owned_by("default").toggle()
    assert numbers(user_id="default") == [4, 5]
    Task.objects.filter(id=second.id).remove()
    assert Removal.objects.get().change_number == 6
    Task.objects.filter(id=first.id).change(user_id=other.user_id)
    assert Removal.objects.get(row_id=first.id).change_number == 7
    assert numbers(id=other.id) == [1]
    assert numbers(id=first.id)[0] > 1


@on_sqlite
def test_write_of_number_itself_is_numbered():
    TaskFactory.create_batch(2)
    Task.objects.update(change_number=0)
    assert len(set(numbers())) == 2
    assert min(numbers()) > 2


def test_row_removed_again_has_one_removal():
    task = TaskFactory()
    Task.objects.all().remove()
    before = Removal.objects.get()
    TaskFactory(id=task.id)
    Task.objects.all().remove()
    after = Removal.objects.get()
    assert (after.row_id, after.change_number >= before.change_number) == (task.id, True)


@pytest.mark.django_db(transaction=True)
def test_operations_are_reversible():
    before, epoch = triggers(), Epoch.objects.get().value
    tracking, functions, refusal = track_changes("tasks_task"), create_functions(), create_refusal()
    refusals = [refuse_moving_users("tasks_task"), refuse_moving_users("idempotency_keptresponse", deletions=False)]
    with connection.schema_editor() as schema_editor:
        for operation in (*refusals, tracking):
            operation.reverse_code(None, schema_editor)
        assert triggers() == []
        refusal.reverse_code(None, schema_editor)
        functions.reverse_code(None, schema_editor)
        functions.code(None, schema_editor)
        refusal.code(None, schema_editor)
        for operation in (*refusals, tracking):
            operation.code(None, schema_editor)
    assert len(before) == NUMBER_OF_TRIGGERS[connection.vendor]
    assert triggers() == before
    assert Epoch.objects.get().value != epoch  # writes without triggers are missing in the feed


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_altered_table_keeps_triggers():
    before = triggers()
    field = Task._meta.get_field("description")
    altered = models.TextField(default="none")
    altered.set_attributes_from_name("description")
    for old, new in ((field, altered), (altered, field)):
        with connection.schema_editor() as schema_editor:
            schema_editor.alter_field(Task, old, new, strict=True)
        assert triggers() == before
    TaskFactory()
    assert numbers() == [1]


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_altered_table_of_removals_keeps_triggers():
    before = triggers()
    field = Removal._meta.get_field("removed_at")
    altered = models.DateTimeField(null=True)
    altered.set_attributes_from_name("removed_at")
    for old, new in ((field, altered), (altered, field)):
        with connection.schema_editor() as schema_editor:
            schema_editor.alter_field(Removal, old, new, strict=True)
        assert triggers() == before
