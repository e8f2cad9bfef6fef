"""Epochs: a database that was restored or copied begins a new one, with numbers above all stored ones."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings as project
from django.db import connection
from django.test.utils import CaptureQueriesContext

from changes.apps import renew_epoch_after_migration
from changes.epoch import is_epoch_current, renew_epoch, renew_epoch_of_copy
from changes.models import Epoch
from tasks.models import Task
from tasks.tests.factories import TaskFactory
from testing.commands import run_command, success

on_postgresql = pytest.mark.skipif(
    "postgresql" not in project.DATABASES["default"]["ENGINE"], reason="SQLite counts from the stored numbers"
)


@pytest.fixture
def restored(db):
    """Make this database look like a copy of another one."""
    Epoch.objects.update(fingerprint="another database")


@pytest.mark.django_db
def test_database_without_table_gets_no_epoch(monkeypatch):
    """A migration of other apps alone ends before ``changes`` has its table."""
    monkeypatch.setattr(type(connection.introspection), "table_names", lambda *_: [])
    Epoch.objects.update(fingerprint="another database")
    renew_epoch_after_migration()
    assert Epoch.objects.get().fingerprint == "another database"


@pytest.mark.django_db
def test_migrated_database_has_epoch():
    assert len(str(Epoch.objects.get())) == 32
    assert is_epoch_current()


@pytest.mark.django_db
def test_epoch_of_this_database_stays():
    before = Epoch.objects.get().value
    renew_epoch_of_copy()
    assert Epoch.objects.get().value == before


def test_epoch_of_copy_is_renewed(restored):
    before = Epoch.objects.get().value
    renew_epoch_of_copy()
    after = Epoch.objects.get().value
    assert after != before
    renew_epoch_of_copy()
    assert Epoch.objects.get().value == after


def store_number(number):
    """Store a task with the number of another cluster, as a restore before the triggers does."""
    TaskFactory()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tasks_task DISABLE TRIGGER USER")
        cursor.execute("UPDATE tasks_task SET change_number = %s", [number])
        cursor.execute("ALTER TABLE tasks_task ENABLE TRIGGER USER")


def numbers():
    return [task.change_number for task in Task.objects.order_by("change_number")]


def number_of_transaction():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return cursor.fetchone()[0]


@on_postgresql
def test_numbers_of_restored_database_continue(restored):
    store_number(10**12)
    renew_epoch_of_copy()
    TaskFactory()
    assert numbers() == [10**12, 10**12 + 1]
    renew_epoch()
    TaskFactory()
    assert numbers() == [10**12, 10**12 + 1, 10**12 + 1]


@on_postgresql
def test_control_without_renewal_numbers_start_again(restored):
    store_number(10**12)
    TaskFactory()
    assert numbers() == [number_of_transaction(), 10**12]


@on_postgresql
def test_numbers_that_fit_need_no_lock(restored):
    TaskFactory()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        renew_epoch_of_copy()
    locks = [query["sql"] for query in captured if query["sql"].startswith("LOCK")]
    assert locks == ["LOCK TABLE changes_epoch IN SHARE ROW EXCLUSIVE MODE"]
    TaskFactory()
    assert numbers() == [number_of_transaction()] * 2


@pytest.mark.django_db(transaction=True)
def test_processes_that_find_copy_at_once_begin_one_epoch():
    Epoch.objects.update(fingerprint="another database")

    def renew(_):
        renew_epoch_of_copy()
        value = Epoch.objects.get().value
        connection.close()
        return value

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(renew, range(8)))) == 1


@pytest.mark.django_db
def test_epoch_stays_if_another_process_renewed_it():
    before = Epoch.objects.get().value
    renew_epoch(unless=lambda: True)
    assert Epoch.objects.get().value == before


@pytest.mark.django_db
def test_expire_states_begins_new_epoch():
    before = Epoch.objects.get().value
    assert run_command("expire_states", "--dry-run") == success("Would expire all states\n")
    assert Epoch.objects.get().value == before
    assert run_command("expire_states") == success("Expired all states\n")
    assert Epoch.objects.get().value != before
