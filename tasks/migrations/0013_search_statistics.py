from django.db import migrations

# The expressions of a search. Without these statistics PostgreSQL takes every word for a rare one, and then reads all
# users' tasks with a common word.
STATISTICS = {"task_title_words": "UPPER(title::text)", "task_description_words": "UPPER(description)"}


def create_statistics(apps, schema_editor):
    """Compute the statistics now: autovacuum would wait until a tenth of the tasks has changed."""
    if schema_editor.connection.vendor == "postgresql":
        for name, expression in STATISTICS.items():
            schema_editor.execute(f"CREATE STATISTICS IF NOT EXISTS {name} ON ({expression}) FROM tasks_task")
        schema_editor.execute("ANALYZE tasks_task")


def drop_statistics(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in STATISTICS:
            schema_editor.execute(f"DROP STATISTICS IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False  # a transaction would keep its locks until the ANALYZE has read the table
    dependencies = [("tasks", "0012_change_triggers")]
    operations = [migrations.RunPython(create_statistics, drop_statistics)]
