from django.db import migrations

from database.row_security import create_policy


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0003_trash_indexes"),
    ]

    operations = [create_policy("tasks_task")]
