"""SQLite's write-ahead log is folded into the database, whoever else uses both."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from todo_project.server.write_ahead_log import fold_in


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "a name with # and ?.sqlite3")


@pytest.fixture
def writer(file):
    """Yield a connection whose only row is in the log."""
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA journal_mode=WAL").fetchall()
        writer.execute("CREATE TABLE example (number)")
        writer.execute("INSERT INTO example VALUES (42)")
        writer.commit()
        yield writer


def log_size(file):
    return Path(f"{file}-wal").stat().st_size


def test_fold_in_empties_the_log(file, writer):
    assert log_size(file) > 0
    fold_in(file)
    assert log_size(file) == 0


def test_fold_in_of_unused_database_removes_the_log(file, writer):
    writer.execute("PRAGMA wal_autocheckpoint=0").fetchall()
    copies = {name: Path(f"{file}{name}").read_bytes() for name in ("", "-wal")}
    writer.close()
    for name, content in copies.items():
        Path(f"{file}{name}").write_bytes(content)
    fold_in(file)
    assert [path.name for path in Path(file).parent.iterdir()] == [Path(file).name]
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT number FROM example").fetchall() == [(42,)]


def test_fold_in_during_a_transaction_waits_for_nobody(file, writer, caplog):
    writer.execute("BEGIN IMMEDIATE")
    fold_in(file)
    writer.execute("INSERT INTO example VALUES (43)")
    writer.commit()
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["", "missing.sqlite3"])
def test_fold_in_without_a_log_creates_no_file(tmp_path, name):
    fold_in(name and str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_fold_in_of_damaged_file_is_logged(tmp_path, caplog):
    for name in ("damaged", "damaged-wal"):
        (tmp_path / name).write_text("this is no database, but a text that is long enough" * 100)
    fold_in(str(tmp_path / "damaged"))
    [message] = caplog.messages
    assert message == (
        f"The write-ahead log of {tmp_path}/damaged was not folded into the database: file is not a database"
    )
