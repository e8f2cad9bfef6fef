"""Export tasks as the text of a file, for ``export_tasks`` and the admin."""

from collections.abc import Iterator

from database.json_expressions import JSONObject, json_value
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.transfer.file_formats import FIELDS, ExportedTask, FileWriter


def export(tasks: TaskQuerySet, writer: FileWriter, batch_size: int) -> Iterator[tuple[str, int]]:
    """Yield each batch of ``tasks``, sorted by id, as its text in the file and its number of tasks.

    One statement reads a batch, so no transaction and no cursor is open between two batches. The file therefore has
    each task as of the time when its batch was read.
    """
    for batch in tasks.in_batches(batch_size):
        exported = fetch(batch)
        yield writer.write(exported), len(exported)


def fetch(tasks: TaskQuerySet) -> list[ExportedTask]:
    """Read tasks as JSON, made by the database."""
    internal = {f"{name}_json": json_value(FIELDS[name]) for name in Task.INTERNAL_FIELDS}
    rows = tasks.annotate(public=JSONObject(Task, Task.PUBLIC_FIELDS), **internal).values_list("public", *internal)
    return [ExportedTask(public, dict(zip(Task.INTERNAL_FIELDS, values, strict=True))) for public, *values in rows]
