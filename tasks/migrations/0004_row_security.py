from django.db import migrations

from database.row_security import policy


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0003_trash_indexes"),
    ]

    operations = [policy("tasks_task")]
