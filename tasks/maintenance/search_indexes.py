"""Create and drop the trigram indexes of a search on PostgreSQL.

They are a choice, because every write maintains them: docs/operations.md says what they cost.
"""

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

EXTENSION = "pg_trgm"
INDEXES = {"task_title_trigrams": "title", "task_description_trigrams": "description"}

INVALID = "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE NOT indisvalid AND relname = ANY(%s)"


def can_have_trigrams() -> bool:
    """Tell whether PostgreSQL has ``pg_trgm``, or this role may install it."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT installed_version IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')"
            " FROM pg_available_extensions WHERE name = %s",
            [EXTENSION],
        )
        return bool(cursor.fetchone() == (True,))


def create_search_indexes(editor: BaseDatabaseSchemaEditor) -> None:
    """Create the missing indexes with the expressions of ``icontains``, and block no writer."""
    editor.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
    for index, column in INDEXES.items():
        editor.execute(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON tasks_task"
            f" USING gin (UPPER({column}::text) gin_trgm_ops) WHERE deleted_at IS NULL"
        )


def drop_search_indexes(editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the indexes that exist, and block no writer."""
    for index in INDEXES:
        editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")


def drop_unfinished_indexes(editor: BaseDatabaseSchemaEditor) -> None:
    """Drop indexes whose creation was interrupted, because ``IF NOT EXISTS`` would leave them invalid."""
    with connection.cursor() as cursor:
        cursor.execute(INVALID, [[*INDEXES]])
        unfinished = [name for (name,) in cursor.fetchall()]
    for index in unfinished:
        editor.execute(f"DROP INDEX CONCURRENTLY {index}")
