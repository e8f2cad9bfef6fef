"""Restrict transactions to the rows of one user by row-level security, in addition to each ``WHERE``.

Tables with a ``user_id`` have a policy, which their migrations create. PostgreSQL applies the policy to roles that
neither own the table nor bypass row-level security; ``DB_ROW_SECURITY=on`` is for such a role.
docs/decisions/0010-row-security.md
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython

#: The user of the thread's transaction.
_scope = threading.local()

SET_USER_ID = "SELECT set_config('todo.user_id', %s, true)"

# PostgreSQL evaluates a subquery once per statement, so an index can serve it. The setting is NULL or empty unless the
# transaction has set it.
CREATE_POLICY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_one_user ON {table} USING (user_id = (SELECT current_setting('todo.user_id', true)))
"""
DROP_POLICY = """
DROP POLICY of_one_user ON {table};
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY
"""


def create_policy(table: str) -> RunPython:
    """Return a migration operation that creates the policy of ``table`` in PostgreSQL."""

    def execute(sql: str) -> Any:
        def run(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
            if schema_editor.connection.vendor == "postgresql":
                schema_editor.execute(sql.format(table=table), params=None)

        return run

    return RunPython(execute(CREATE_POLICY), execute(DROP_POLICY))


@contextmanager
def rows_of(user_id: str) -> Iterator[None]:
    """Open a transaction that sees only the rows of ``user_id``; do nothing if ``DB_ROW_SECURITY`` is off.

    The user is set for the transaction and not for the session, because the pool gives the connection to
    other requests. Within ``rows_of`` the same user, the function does nothing.
    """
    if not settings.DB_ROW_SECURITY or getattr(_scope, "user_id", None) == user_id:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SET_USER_ID, [user_id])
        _scope.user_id = user_id
        try:
            yield
        finally:
            _scope.user_id = None


def is_active(table: str) -> bool:
    """Tell whether PostgreSQL applies the policy of ``table`` to the role of ``DATABASE_URL``."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_security_active(%s)", [table])
        return bool(cursor.fetchone()[0])
