from django.db import migrations

from todo_project.row_security import policy


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0003_trash_indexes"),
    ]

    operations = [policy("tasks_task")]
