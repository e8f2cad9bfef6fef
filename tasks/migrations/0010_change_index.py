from django.db import migrations, models

from database.migration_operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # an index is not made CONCURRENTLY in a transaction

    dependencies = [("tasks", "0009_change_number")]

    operations = [
        AddIndexConcurrently(
            model_name="task", index=models.Index(fields=["user_id", "change_number", "id"], name="task_changes")
        ),
    ]
