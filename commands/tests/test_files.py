"""The files that commands write: who may read them, and which links commands follow."""

import os
import signal
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError

from commands.files import open_report, replace_file

SOMEBODY_ELSE = 12345

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


def write_report(path):
    """Write as ``import_tasks --errors`` does."""
    with Path(os.devnull).open("rb") as source, open_report(path, source) as file:
        file.write("text")


def write_export(path):
    """Write as ``export_tasks --output`` does."""
    with replace_file(path) as write:
        write("text")


WRITERS = pytest.mark.parametrize("write", [write_report, write_export])


@pytest.fixture(autouse=True)
def _usual_umask():
    """Let new files be readable by everybody, unless their mode says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def shared(tmp_path):
    """Return a directory in which everybody may create files, like ``/tmp``."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


@pytest.fixture
def valuable(tmp_path):
    file = tmp_path / "valuable"
    file.write_text("valuable")
    return file


@WRITERS
@pytest.mark.parametrize("exists", [False, True])
def test_file_is_private(tmp_path, write, exists):
    file = tmp_path / "file"
    if exists:
        file.write_text("old text")
        file.chmod(0o644)
    write(file)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("text", 0o600)
    assert [*tmp_path.iterdir()] == [file]


@WRITERS
@pytest.mark.parametrize("absolute", [False, True])
def test_own_link_is_followed(shared, valuable, write, absolute):
    link = shared / "link"
    link.symlink_to(valuable if absolute else f"../{valuable.name}")
    (shared / "second").symlink_to("link")
    write(shared / "second")
    assert (valuable.read_text(), link.is_symlink()) == ("text", True)


def assert_refused(write, path, reason):
    with pytest.raises(CommandError) as refusal:
        write(path)
    assert (str(refusal.value), refusal.value.returncode) == (f"Cannot write {path}: {reason}", 2)


@needs_root
@WRITERS
@pytest.mark.parametrize("name", ["link", "directory/valuable", "own"])
def test_link_of_another_user_is_refused(shared, valuable, write, name):
    (shared / "link").symlink_to(valuable)
    (shared / "directory").symlink_to(valuable.parent)
    (shared / "own").symlink_to("link")
    planted = shared / ("directory" if "/" in name else "link")
    os.chown(planted, SOMEBODY_ELSE, -1, follow_symlinks=False)
    assert_refused(write, shared / name, f"{planted} belongs to another user")
    assert valuable.read_text() == "valuable"


@needs_root
@WRITERS
def test_link_of_the_owner_of_its_directory_is_followed(shared, valuable, write):
    link = shared / "link"
    link.symlink_to(valuable)
    for path in (shared, link):
        os.chown(path, SOMEBODY_ELSE, -1, follow_symlinks=False)
    write(link)
    assert valuable.read_text() == "text"


@needs_root
@WRITERS
def test_named_pipe_of_another_user_is_refused(shared, write):
    pipe = shared / "pipe"
    os.mkfifo(pipe)
    os.chown(pipe, SOMEBODY_ELSE, -1)
    with closing(os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))) as reader:
        assert_refused(write, pipe, f"{pipe} belongs to another user")
        assert reader.read() == ""


@needs_root
@WRITERS
def test_file_of_another_user_is_replaced(shared, write):
    """Another user that has opened the planted file reads nothing."""
    planted = shared / "file"
    planted.touch()
    os.chown(planted, SOMEBODY_ELSE, -1)
    with planted.open() as reader:
        write(planted)
        assert (reader.read(), planted.read_text(), planted.stat().st_uid) == ("", "text", 0)


@WRITERS
def test_links_in_a_circle_are_refused(shared, write):
    (shared / "a").symlink_to("b")
    (shared / "b").symlink_to("a")
    assert_refused(write, shared / "a", "Too many levels of symbolic links")


@WRITERS
def test_file_that_cannot_be_replaced_leaves_nothing(tmp_path, write, monkeypatch):
    def fail(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(CommandError, match="Operation not permitted"):
        write(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import django
django.setup()
from commands.files import replace_file
with replace_file(Path(sys.argv[1])) as write:
    write("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_file_of_killed_command_is_removed_by_next(tmp_path):
    file = tmp_path / "tasks[1].csv"
    assert subprocess.run([sys.executable, "-c", KILLED, file], check=False).returncode == -signal.SIGKILL
    [leftover] = tmp_path.iterdir()
    assert leftover.name.startswith(".tasks[1].csv.")
    write_export(tmp_path / "other.csv")
    assert leftover.exists()
    write_export(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.csv", "tasks[1].csv"]


def test_unfinished_file_of_running_command_is_kept(tmp_path):
    file = tmp_path / "tasks.csv"
    with replace_file(file) as write:
        write("first")
        write_export(file)
        assert file.read_text() == "text"
    assert (file.read_text(), list(tmp_path.iterdir())) == ("first", [file])
