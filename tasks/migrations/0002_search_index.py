from django.db import migrations

from tasks.maintenance.search_indexes import can_have_trigrams, create_search_indexes, drop_search_indexes


# The command search_indexes makes the same indexes. Another form of them needs a new migration.
def create_indexes(apps, schema_editor):
    """Without these indexes a search reads all tasks of the caller."""
    if can_have_trigrams():
        create_search_indexes(schema_editor)


def drop_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        drop_search_indexes(schema_editor)


class Migration(migrations.Migration):
    atomic = False  # an index is not made CONCURRENTLY in a transaction
    dependencies = [("tasks", "0001_task")]
    operations = [migrations.RunPython(create_indexes, drop_indexes)]
