"""Row-level security of PostgreSQL: a second floor below the ``WHERE`` of every statement.

The tables that hold what belongs to users have a policy (``policy``, in their migrations) that shows a role only the
rows of the user whom its transaction names. It binds roles that neither own the table nor bypass it, and so the one
that ``DB_ROW_SECURITY=on`` is for. docs/decisions/0010-row-security.md
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython

IDENTIFY = "SELECT set_config('todo.user_id', %s, true)"

# A subquery is evaluated once a statement, so that an index serves it. Of a user nobody has named it is NULL, or empty.
ENABLE = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_one_user ON {table} USING (user_id = (SELECT current_setting('todo.user_id', true)))
"""
DISABLE = """
DROP POLICY of_one_user ON {table};
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY
"""


def policy(table: str) -> RunPython:
    """A migration's operation that gives ``table`` the policy, by its column ``user_id``; nothing on SQLite."""

    def execute(sql: str) -> Any:
        def run(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
            if schema_editor.connection.vendor == "postgresql":
                schema_editor.execute(sql.format(table=table), params=None)

        return run

    return RunPython(execute(ENABLE), execute(DISABLE))


@contextmanager
def rows_of(user_id: str) -> Iterator[None]:
    """A transaction whose statements see the rows of that user; with ``DB_ROW_SECURITY=off`` nothing at all.

    It is named for the transaction, not for the connection, which others use after it.
    """
    if not settings.DB_ROW_SECURITY:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(IDENTIFY, [user_id])
        yield


def is_active() -> bool:
    """Whether the database applies the policy to this process' role."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_security_active('tasks_task')")
        return bool(cursor.fetchone()[0])
