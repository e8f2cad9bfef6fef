"""The form of a task in a file, and the files of other systems."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from tasks.tests.api.contract import rfc_3339, task_body
from tasks.transfer.foreign_tasks import Origin

#: The exports of other systems.
EXPORTS = Path(__file__).with_name("exports")

READ_AT = datetime(2026, 11, 26, 12, tzinfo=UTC)

#: A foreign task without any value, by an export that does not know its times.
DEFAULTS = {
    "description": "",
    "completed": False,
    "due": None,
    "priority": None,
    "labels": {},
    "user_id": "alice",
    "version": 1,
    "completed_at": None,
}


def exported_body(task):
    """Return the values of a task's line in JSON Lines."""
    internal = {"deleted_at": rfc_3339(task.deleted_at)} if task.deleted_at else {}
    return {**task_body(task), **internal}


def origin(system, file_name="tasks", user_id="alice", read_at=READ_AT):
    """Return the origin of a file that ``alice`` imports."""
    return Origin(system, user_id, file_name, read_at)


def read_all(reader, text):
    """Return the lines of a file."""
    return list(reader.read(BytesIO(text if isinstance(text, bytes) else text.encode())))


def without_ids(lines):
    """Return the values of each line that has some, without the id."""
    return [{name: value for name, value in line.values.items() if name != "id"} for line in lines if line.values]


def details(faults):
    """Return each fault as one text."""
    return [f"{fault['pointer']} {fault['detail']}" for fault in faults]


def reports(lines):
    """Return what is reported of each line: the number, the faults and what is left out."""
    return {line.number: details([*line.faults, *line.left_out]) for line in lines if line.faults or line.left_out}
