"""``manage.py backup`` copies a SQLite database, and says what to run for PostgreSQL."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from testing.commands import failure, run_command, run_command_process, success
from testing.databases import new_sqlite_database, sqlite_path


@pytest.fixture
def database():
    """Yield the path of a database and a connection to it.

    The connection keeps the only row in the write-ahead log.
    """
    with new_sqlite_database() as url, closing(sqlite3.connect(sqlite_path(url))) as writer:
        writer.execute("PRAGMA journal_mode=WAL").fetchall()
        writer.execute("CREATE TABLE example (number)")
        writer.execute("INSERT INTO example VALUES (42)")
        writer.commit()
        yield Path(sqlite_path(url))


def back_up(database, *arguments):
    return run_command_process(f"sqlite:///{database}", "backup", *arguments)


def rows_in_use(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT number FROM example").fetchall()


def rows(file):
    with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as connection:
        return connection.execute("SELECT number FROM example").fetchall()


@pytest.mark.once
def test_backup_has_rows_of_the_write_ahead_log(database, tmp_path):
    copy = tmp_path / "copy"
    result = back_up(database, copy)
    assert result == success(f"Copied {database} into {copy}: {copy.stat().st_size} bytes\n")
    assert rows(copy) == [(42,)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.once
def test_backup_has_other_fingerprint(database, tmp_path):
    """So the service that starts with the restored copy lets clients of the change feed start again."""
    versions = set()
    for name in ("one", "two"):
        back_up(database, tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            versions.add(connection.execute("PRAGMA user_version").fetchone())
    assert len(versions - {(0,)}) == 2


@pytest.mark.once
def test_control_without_backup_copy_lacks_the_rows(database):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        rows(database)


@pytest.mark.once
def test_backup_replaces_a_link_and_not_its_target(database, tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    link.symlink_to(victim)
    assert back_up(database, link).code == 0
    assert (victim.read_text(), link.is_symlink(), rows(link)) == ("precious", False, [(42,)])


@pytest.mark.once
def test_backup_onto_the_database_itself_is_refused(database, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(database)
    for file in (database, link, *(Path(f"{database}{suffix}") for suffix in ("-wal", "-shm", "-journal"))):
        assert back_up(database, file) == failure(f"{file} belongs to the database; choose another file", 2)
    assert rows_in_use(database) == [(42,)]


@pytest.mark.once
def test_backup_onto_directory_or_pipe_is_refused(database, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for file in (tmp_path, pipe):
        assert back_up(database, file) == failure(f"{file} is a directory, a pipe or a device", 2)
    assert pipe.is_fifo()


@pytest.mark.once
@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_export_and_report_onto_the_database_are_refused(database, suffix):
    file = f"{database}{suffix}"
    refused = failure(f"{file} belongs to the database; choose another file", 2)
    for command in (("export_tasks", "--output", file), ("import_tasks", "/dev/null", "--errors", file)):
        assert run_command_process(f"sqlite:///{database}", *command) == refused
    assert rows_in_use(database) == [(42,)]


@pytest.mark.once
def test_backup_into_missing_directory_is_refused(database):
    result = back_up(database, "/nowhere/copy")
    assert (result.out, result.code) == ("", 2)
    assert result.err.startswith("CommandError: Cannot read or write /nowhere/")
    assert result.err.endswith(": No such file or directory\n")


@pytest.mark.once
def test_backup_without_a_database_is_refused(tmp_path):
    missing = tmp_path / "missing.sqlite3"
    assert back_up(missing, tmp_path / "copy") == failure(f"There is no database {missing}", 2)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.once
def test_backup_dry_run_writes_nothing(database, tmp_path):
    copy = tmp_path / "copy"
    assert back_up(database, copy, "--dry-run") == success(f"Would copy {database} into {copy}\n")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="the refusal is for PostgreSQL")
def test_backup_of_postgresql_names_pg_dump():
    reason = (
        "This command copies SQLite only; for PostgreSQL run pg_dump --format=custom --file='my copy' --dbname=URL, "
        "with the URL of DATABASE_URL"
    )
    assert run_command("backup", "my copy") == failure(reason, 2)
