"""The files of an SQLite database, and the version of SQLite."""

import os
import stat
from contextlib import closing

import pytest
from django.conf import settings
from django.db import NotSupportedError

from database.sqlite import base
from database.url import SQLITE_OPTIONS


@pytest.fixture(autouse=True)
def _usual_umask():
    """Let new files be readable by everybody, unless their mode says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "db.sqlite3"


def connect(path):
    """Return a connection that has written to the database at ``path``."""
    database = {**settings.DATABASES["default"], "NAME": str(path), "OPTIONS": SQLITE_OPTIONS, "CONN_MAX_AGE": None}
    defaults = {"TIME_ZONE": None, "CONN_HEALTH_CHECKS": False, "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False}
    connected = base.DatabaseWrapper({**defaults, **database}, "default")
    with connected.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS a (b)")
        cursor.execute("INSERT INTO a VALUES (1)")
    return connected


def modes(directory):
    return {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in directory.iterdir()}


PRIVATE = {"db.sqlite3": "600", "db.sqlite3-wal": "600", "db.sqlite3-shm": "600"}


@pytest.mark.django_db  # Django's tests refuse every other connection
def test_new_database_is_private(file, tmp_path):
    with closing(connect(file)):
        assert modes(tmp_path) == PRIVATE


@pytest.mark.django_db
def test_database_that_others_can_read_becomes_private(file, tmp_path):
    with closing(connect(file)):
        for path in tmp_path.iterdir():
            path.chmod(0o644)
        with closing(connect(file)):
            assert modes(tmp_path) == PRIVATE


@pytest.mark.django_db
def test_database_behind_a_link_is_private(file, tmp_path):
    link = tmp_path / "link.sqlite3"
    link.symlink_to(file)
    with closing(connect(link)):
        assert {name: mode for name, mode in modes(tmp_path).items() if name != link.name} == PRIVATE


@pytest.mark.django_db
def test_database_of_a_group_keeps_its_mode(file, tmp_path):
    connect(file).close()
    file.chmod(0o660)
    with closing(connect(file)):
        assert set(modes(tmp_path).values()) == {"660"}


@pytest.mark.django_db
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_database_of_another_user_keeps_its_mode(file, tmp_path):
    connect(file).close()
    file.chmod(0o644)
    os.chown(file, 12345, -1)
    with closing(connect(file)):
        assert modes(tmp_path)["db.sqlite3"] == "644"


@pytest.mark.django_db
@pytest.mark.parametrize(("version", "refused"), [((3, 34, 1), True), ((3, 35, 0), False)])
def test_sqlite_without_returning_is_refused(file, monkeypatch, version, refused):
    monkeypatch.setattr("django.db.backends.base.base.RAN_DB_VERSION_CHECK", set())
    monkeypatch.setattr(base.DatabaseWrapper, "get_database_version", lambda self: version)
    if refused:
        with pytest.raises(NotSupportedError, match=r"^SQLite 3\.35 or later is required \(found 3\.34\.1\)\.$"):
            connect(file)
    else:
        connect(file).close()
