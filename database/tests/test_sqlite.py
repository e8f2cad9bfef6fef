"""The files of an SQLite database, and the version of SQLite."""

import os
import stat
from contextlib import closing, contextmanager, nullcontext

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


@contextmanager
def connected(path):
    """Write to the database at ``path``, keep the connection open, and close it at the end."""
    database = {**settings.DATABASES["default"], "NAME": str(path), "OPTIONS": SQLITE_OPTIONS, "CONN_MAX_AGE": None}
    defaults = {"TIME_ZONE": None, "CONN_HEALTH_CHECKS": False, "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False}
    with closing(base.DatabaseWrapper({**defaults, **database}, "default")) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS a (b)")
            cursor.execute("INSERT INTO a VALUES (1)")
        yield


def modes(directory):
    return {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in directory.iterdir()}


PRIVATE = {"db.sqlite3": "600", "db.sqlite3-wal": "600", "db.sqlite3-shm": "600"}


@pytest.mark.django_db  # Django's tests refuse every other connection
def test_new_database_is_private(file, tmp_path):
    with connected(file):
        assert modes(tmp_path) == PRIVATE


@pytest.mark.django_db
def test_database_that_others_can_read_becomes_private(file, tmp_path):
    with connected(file):
        for path in tmp_path.iterdir():
            path.chmod(0o644)
        with connected(file):
            assert modes(tmp_path) == PRIVATE


@pytest.mark.django_db
def test_database_behind_a_link_is_private(file, tmp_path):
    link = tmp_path / "link.sqlite3"
    link.symlink_to(file)
    with connected(link):
        assert {name: mode for name, mode in modes(tmp_path).items() if name != link.name} == PRIVATE


@pytest.mark.django_db
def test_database_of_a_group_keeps_its_mode(file, tmp_path):
    with connected(file):
        pass
    file.chmod(0o660)
    with connected(file):
        assert set(modes(tmp_path).values()) == {"660"}


@pytest.mark.django_db
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_database_of_another_user_keeps_its_mode(file, tmp_path):
    with connected(file):
        pass
    file.chmod(0o644)
    os.chown(file, 12345, -1)
    with connected(file):
        assert modes(tmp_path)["db.sqlite3"] == "644"


OLD = pytest.raises(NotSupportedError, match=r"^SQLite 3\.35 or later is required \(found 3\.34\.1\)\.$")


@pytest.mark.django_db
@pytest.mark.parametrize(("version", "result"), [((3, 34, 1), OLD), ((3, 35, 0), nullcontext())])
def test_sqlite_without_returning_is_refused(file, monkeypatch, version, result):
    monkeypatch.setattr("django.db.backends.base.base.RAN_DB_VERSION_CHECK", set())
    monkeypatch.setattr(base.DatabaseWrapper, "get_database_version", lambda self: version)
    with result, connected(file):
        pass
