from django.db import migrations, models

CONCURRENTLY = {"postgresql": {"concurrently": True}}


class AddIndexConcurrently(migrations.AddIndex):
    """Django's own operation of this name works on PostgreSQL only."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "postgresql":
            # An interrupted CREATE INDEX CONCURRENTLY leaves an invalid index.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        schema_editor.add_index(model, self.index, **CONCURRENTLY.get(schema_editor.connection.vendor, {}))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, **CONCURRENTLY.get(schema_editor.connection.vendor, {}))


class Migration(migrations.Migration):
    atomic = False  # an index is not made CONCURRENTLY in a transaction

    dependencies = [("idempotency", "0002_row_security")]

    operations = [
        AddIndexConcurrently(
            model_name="keptresponse",
            index=models.Index(fields=["user_id", "created_at"], name="idempotency_user_created"),
        ),
    ]
