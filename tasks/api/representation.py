"""A task as JSON, rendered by the database: the same text at every endpoint."""

from database.json_expressions import JSONObject
from tasks.models import Task


def representation() -> JSONObject:
    """Return the expression that renders a task."""
    return JSONObject(Task, Task.PUBLIC_FIELDS)
