"""A task as JSON, rendered by the database: the same text at every endpoint."""

from database.json_expressions import JSONObject
from tasks.models import Task


def representation(*, many_rows: bool = False) -> JSONObject:
    """Return the expression that renders a task."""
    return JSONObject(Task, Task.PUBLIC_FIELDS, many_rows=many_rows)
