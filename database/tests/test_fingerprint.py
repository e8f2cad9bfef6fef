"""The difference between a database and its copies."""

import sqlite3
from contextlib import closing

import pytest
from django.db import connection

from database import fingerprint

pytestmark = pytest.mark.django_db

on_sqlite = pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL has an identifier")


def of_database():
    return fingerprint.fingerprint("django_migrations")


def test_fingerprint_stays():
    assert of_database() == of_database() != ""


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no identifiers")
def test_restored_table_has_other_fingerprint():
    before = of_database()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO former")
        cursor.execute("CREATE TABLE django_migrations AS TABLE former")
    assert of_database().split(":")[:2] == before.split(":")[:2]
    assert of_database() != before


@on_sqlite
def test_fingerprint_changes_with_boot(monkeypatch, tmp_path):
    fingerprints = {of_database()}
    for name in ("absent", "another"):
        monkeypatch.setattr(fingerprint, "BOOT_ID", tmp_path / name)
        fingerprints.add(of_database())
        (tmp_path / "another").write_text("another boot")
    assert len(fingerprints) == 3


@on_sqlite
def test_marked_copy_has_own_number():
    with closing(sqlite3.connect(":memory:")) as copy:
        fingerprint.mark_copy(copy)
        assert copy.execute("PRAGMA user_version").fetchone()[0] > 0
