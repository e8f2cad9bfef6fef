"""``manage.py export_tasks``."""

import csv
import os
import stat

import pytest
from icalendar import Calendar

from tasks.models import Task
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory
from tasks.tests.transfer.exported import exported_body
from tasks.transfer import exporting
from tasks.transfer.writers import WRITERS
from testing.commands import failure, read_json_lines, run_command, success
from testing.python_processes import json_output_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def tasks():
    return [TaskFactory(), TaskFactory(foreign=True), TaskFactory(trashed=True)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tasks.jsonl"


def export(*options):
    return run_command("export_tasks", *options)


def bodies(tasks):
    return [exported_body(task) for task in tasks]


def test_all_tasks_are_written_in_order_of_ids(tasks, file):
    assert export("--output", file) == success(f"Exported 3 tasks to {file}\n")
    assert read_json_lines(file) == bodies(tasks)


def test_without_output_only_tasks_are_printed(tasks, file):
    export("--output", file)
    assert export() == success(file.read_text())


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_batch_size_does_not_change_output(tasks, size):
    assert export(f"--batch-size={size}") == export()


def test_csv_has_header_and_rows(tasks, file):
    assert export("--format=csv", "--output", file) == success(f"Exported 3 tasks to {file}\n")
    with file.open(newline="") as text:
        assert [row["id"] for row in csv.DictReader(text)] == [str(task.id) for task in tasks]


def test_user_limits_export_to_one_owner(tasks, file):
    export("--user", SOMEBODY_ELSE, "--output", file)
    assert read_json_lines(file) == bodies(tasks[1:2])


@pytest.mark.parametrize("command", ["export_tasks", "task_stats"])
@pytest.mark.parametrize("user", ["", "x" * 256, "\udcff", "a\0b"], ids=ascii)
def test_user_that_cannot_be_stored_refused(command, user):
    reason = "Error: argument --user: must be a user id of 1 to 255 characters"
    assert run_command(command, f"--user={user}") == failure(reason, 1)


def test_live_leaves_out_trash(tasks, file):
    export("--live", "--output", file)
    assert read_json_lines(file) == bodies(tasks[:2])


@pytest.mark.parametrize("format", WRITERS)
def test_export_without_tasks_has_header_and_footer_only(format):
    writer = WRITERS[format]()
    assert export(f"--format={format}") == success(writer.header + writer.footer)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_calendar_leaves_out_trash(tasks, file, size):
    result = export("--format=ics", f"--batch-size={size}", "--output", file)
    assert result == success(f"Exported 2 tasks to {file}\n")
    with file.open("rb") as text:
        uids = [str(todo["UID"]) for todo in Calendar.from_ical(text.read()).todos]
    assert uids == [str(task.id) for task in tasks[:2]]


def test_existing_file_is_replaced_and_private(tasks, file):
    file.write_text("old")
    export("--output", file)
    assert read_json_lines(file) == bodies(tasks)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_failed_export_keeps_existing_file(tasks, file, monkeypatch):
    file.write_text("old")
    monkeypatch.setattr(exporting, "fetch", lambda batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export("--output", file)
    assert (file.read_text(), list(file.parent.iterdir())) == ("old", [file])


def test_interrupted_export_keeps_existing_file(tasks, file, monkeypatch):
    def interrupt(batch):
        raise KeyboardInterrupt

    file.write_text("old")
    monkeypatch.setattr(exporting, "fetch", interrupt)
    assert export("--output", file) == failure("Interrupted; finished batches stay", 130)
    assert (file.read_text(), list(file.parent.iterdir())) == ("old", [file])


def test_file_in_missing_directory_refused(tasks, tmp_path):
    file = tmp_path / "missing" / "tasks.jsonl"
    assert export("--output", file) == failure(f"Cannot write {file}: No such file or directory", 2)


def test_directory_as_file_refused(tasks, tmp_path):
    assert export("--output", tmp_path) == failure(f"Cannot write {tmp_path}: Is a directory", 2)
    assert list(tmp_path.iterdir()) == []


def test_link_stays_and_its_file_is_replaced(tasks, file, tmp_path):
    link = tmp_path / "link.jsonl"
    link.symlink_to(file.name)
    for _ in ("the file does not exist", "the file exists"):
        assert export("--output", link) == success(f"Exported 3 tasks to {link}\n")
        assert (link.is_symlink(), file.is_symlink()) == (True, False)
        assert read_json_lines(file) == bodies(tasks)


def test_named_pipe_is_written_and_stays(tasks, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        assert export("--output", pipe) == success(f"Exported 3 tasks to {pipe}\n")
        assert reader.read() == export().out
    assert pipe.is_fifo()


def test_unknown_format_refused():
    result = export("--format=xml")
    assert (result.out, result.code) == ("", 1)
    assert result.err.startswith("CommandError: Error: argument --format: invalid choice: 'xml'")


def test_each_batch_is_read_when_it_is_written(tasks, file, monkeypatch):
    """A task that is restored after the export began, but before its batch is read, is exported as live."""
    fetch = exporting.fetch

    def fetch_and_restore(batch):
        exported = fetch(batch)
        Task.objects.in_trash().restore()
        return exported

    monkeypatch.setattr(exporting, "fetch", fetch_and_restore)
    export("--batch-size=1", "--output", file)
    assert read_json_lines(file) == bodies([*tasks[:2], Task.objects.get(id=tasks[2].id)])


#: Load the service as a worker does, and print which of the large libraries are loaded.
LOAD_SERVICE = """
import json, sys
import todo_project.wsgi, todo_project.urls
print(json.dumps([name for name in ("icalendar", "ijson") if name in sys.modules]))
"""


@pytest.mark.once
def test_workers_do_not_load_the_libraries_of_other_systems():
    """Without this, each worker would hold 10 MiB for icalendar."""
    assert json_output_of(LOAD_SERVICE) == []
