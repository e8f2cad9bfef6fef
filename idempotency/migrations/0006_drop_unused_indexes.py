from django.db import migrations, models
from django.utils import timezone

INDEXES = {
    "idempotency_user_created": "user_id, created_at",
    "idempotency_keptresponse_created_at_c50b7ec4": "created_at",
}
HELP_TEXT = "When the response was kept; a day later the key is free again."


def concurrently(schema_editor):
    return "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""


def drop_indexes(apps, schema_editor):
    for name in INDEXES:
        schema_editor.execute(f"DROP INDEX {concurrently(schema_editor)} IF EXISTS {name}")


def create_indexes(apps, schema_editor):
    for name, columns in INDEXES.items():
        schema_editor.execute(
            f"CREATE INDEX {concurrently(schema_editor)} {name} ON idempotency_keptresponse ({columns})"
        )


class Migration(migrations.Migration):
    atomic = False  # an index is not dropped CONCURRENTLY in a transaction

    dependencies = [("idempotency", "0005_age_index")]

    operations = [
        # AlterField would make SQLite copy the table without its triggers.
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_indexes, create_indexes)],
            state_operations=[
                migrations.RemoveIndex("keptresponse", "idempotency_user_created"),
                migrations.AlterField(
                    "keptresponse", "created_at", models.DateTimeField(default=timezone.now, help_text=HELP_TEXT)
                ),
            ],
        )
    ]
