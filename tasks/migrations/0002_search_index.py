from django.db import migrations

INDEXES = {"task_title_trigrams": "title", "task_description_trigrams": "description"}


def can_have_trigrams(schema_editor):
    """PostgreSQL, where ``pg_trgm`` is installed, or is at hand and may be installed by this user."""
    if schema_editor.connection.vendor != "postgresql":
        return False
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT installed_version IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')"
            " FROM pg_available_extensions WHERE name = 'pg_trgm'"
        )
        return cursor.fetchone() == (True,)


def create_indexes(apps, schema_editor):
    """Create the indexes of a search, with the expressions of ``icontains``.

    Without these indexes a search reads all tasks of the caller.
    """
    if can_have_trigrams(schema_editor):
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        for index, column in INDEXES.items():
            schema_editor.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON tasks_task"
                f" USING gin (UPPER({column}::text) gin_trgm_ops) WHERE deleted_at IS NULL"
            )


def drop_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for index in INDEXES:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")


class Migration(migrations.Migration):
    atomic = False  # an index is not made CONCURRENTLY in a transaction
    dependencies = [("tasks", "0001_task")]
    operations = [migrations.RunPython(create_indexes, drop_indexes)]
