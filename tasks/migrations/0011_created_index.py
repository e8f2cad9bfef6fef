import uuid_utils.compat
from django.db import migrations, models
from django.db.models import F

from database.migration_operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # an index is not made CONCURRENTLY in a transaction

    dependencies = [("tasks", "0010_change_index")]

    operations = [
        migrations.AlterField(
            model_name="task",
            name="id",
            field=models.UUIDField(
                default=uuid_utils.compat.uuid7,
                editable=False,
                help_text="A UUID of version 7, made by the server or a client.",
                primary_key=True,
                serialize=False,
            ),
        ),
        AddIndexConcurrently(
            model_name="task", index=models.Index(F("created_at").desc(), F("id").desc(), name="task_created")
        ),
    ]
