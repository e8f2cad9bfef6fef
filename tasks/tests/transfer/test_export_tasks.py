"""``manage.py export_tasks``: every task, as the API shows it, to a file or a pipe."""

import os
import stat

import pytest

from tasks.models import Task
from tasks.tests.api.contract import moment, task_body
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory
from testing.commands import Ended, done, lines, run

pytestmark = pytest.mark.django_db


HEADER = "id,title,description,completed,user_id,created_at,updated_at,version,deleted_at"


@pytest.fixture
def tasks():
    return [TaskFactory(), TaskFactory(foreign=True), TaskFactory(trashed=True)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tasks.jsonl"


def body(task):
    return task_body(task) | ({"deleted_at": moment(task.deleted_at)} if task.deleted_at else {})


def test_it_writes_every_task_by_id(tasks, file):
    assert run("export_tasks", "--output", file) == done(f"Exported 3 tasks to {file}\n")
    assert lines(file) == [body(task) for task in tasks]


def test_without_a_file_there_is_nothing_but_the_tasks(tasks, file):
    run("export_tasks", "--output", file)
    assert run("export_tasks") == done(file.read_text())


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_size_of_a_batch_changes_nothing(tasks, size):
    assert run("export_tasks", f"--batch-size={size}") == run("export_tasks")


def test_as_csv(tasks, file):
    assert run("export_tasks", "--format=csv", "--output", file) == done(f"Exported 3 tasks to {file}\n")
    made, trashed = tasks[0], tasks[2]
    with file.open(newline="") as text:
        rows = text.read().split("\r\n")
    assert rows[0] == HEADER
    assert rows[1] == (f"{made.id},{made.title},,false,default,{moment(made.created_at)},{moment(made.updated_at)},1,")
    assert rows[3].endswith(f",1,{moment(trashed.deleted_at)}")
    assert rows[4:] == [""]


def test_of_one_user(tasks, file):
    run("export_tasks", "--user", SOMEBODY_ELSE, "--output", file)
    assert lines(file) == [body(tasks[1])]


@pytest.mark.parametrize("command", ["export_tasks", "task_stats"])
def test_a_user_who_cannot_be_stored_is_refused(command):
    refusal = "CommandError: Error: argument --user: must be a user id of 1 to 255 characters\n"
    for user in ("", "x" * 256, "\udcff", "a\0b"):
        assert run(command, f"--user={user}") == Ended("", refusal, 1)


def test_the_trash_may_be_left_out(tasks, file):
    run("export_tasks", "--live", "--output", file)
    assert lines(file) == [body(task) for task in tasks[:2]]


@pytest.mark.parametrize(
    ("format", "text"),
    [("jsonl", ""), ("csv", f"{HEADER}\r\n")],
)
def test_of_no_task(format, text):
    assert run("export_tasks", f"--format={format}") == done(text)


def test_a_file_that_is_there_is_replaced_and_for_its_owner_alone(tasks, file):
    file.write_text("old")
    run("export_tasks", "--output", file)
    assert lines(file) == [body(task) for task in tasks]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_export_that_fails_leaves_the_file_as_it_was(tasks, file, monkeypatch):
    file.write_text("old")
    monkeypatch.setattr("tasks.management.commands.export_tasks.shown", lambda batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("export_tasks", "--output", file)
    assert (file.read_text(), list(file.parent.iterdir())) == ("old", [file])


def test_ctrl_c_leaves_the_file_as_it_was_and_says_so(tasks, file, monkeypatch):
    def interrupt(batch):
        raise KeyboardInterrupt

    file.write_text("old")
    monkeypatch.setattr("tasks.management.commands.export_tasks.shown", interrupt)
    assert run("export_tasks", "--output", file) == Ended(
        "", "CommandError: Interrupted; every batch that was finished stays\n", 130
    )
    assert (file.read_text(), list(file.parent.iterdir())) == ("old", [file])


def test_a_file_that_cannot_be_is_refused(tasks, tmp_path):
    file = tmp_path / "missing" / "tasks.jsonl"
    refusal = f"CommandError: {file} cannot be written: No such file or directory\n"
    assert run("export_tasks", "--output", file) == Ended("", refusal, 2)


def test_behind_a_link_the_file_is_replaced_and_the_link_stays(tasks, file, tmp_path):
    link = tmp_path / "link.jsonl"
    link.symlink_to(file.name)
    for _ in ("a file that is not there yet", "one that is"):
        assert run("export_tasks", "--output", link) == done(f"Exported 3 tasks to {link}\n")
        assert (link.is_symlink(), file.is_symlink()) == (True, False)
        assert lines(file) == [body(task) for task in tasks]


def test_a_pipe_is_written_to_and_stays_one(tasks, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        assert run("export_tasks", "--output", pipe) == done(f"Exported 3 tasks to {pipe}\n")
        assert reader.read() == run("export_tasks").out
    assert pipe.is_fifo()


def test_a_directory_is_refused(tasks, tmp_path):
    assert run("export_tasks", "--output", tmp_path) == Ended(
        "", f"CommandError: {tmp_path} cannot be written: Is a directory\n", 2
    )
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_is_not_known_is_refused():
    ended = run("export_tasks", "--format=xml")
    assert (ended.out, ended.code) == ("", 1)
    assert ended.err.startswith("CommandError: Error: argument --format: invalid choice: 'xml'")


def test_what_is_trashed_or_made_meanwhile_is_there_as_its_batch_found_it(tasks, file, monkeypatch):
    from tasks.management.commands import export_tasks

    show = export_tasks.shown

    def shown(batch):
        before = show(batch)
        Task.objects.in_trash().restore()
        return before

    monkeypatch.setattr(export_tasks, "shown", shown)
    run("export_tasks", "--batch-size=1", "--output", file)
    assert lines(file) == [body(tasks[0]), body(tasks[1]), body(Task.objects.get(id=tasks[2].id))]
