"""The form of a task in a file."""

from tasks.tests.api.contract import rfc_3339, task_body


def exported_body(task):
    """Return the values of a task's line in JSON Lines."""
    internal = {"deleted_at": rfc_3339(task.deleted_at)} if task.deleted_at else {}
    return {**task_body(task), **internal}
