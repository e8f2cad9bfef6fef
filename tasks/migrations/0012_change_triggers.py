from django.db import migrations

from changes.triggers import track_changes


class Migration(migrations.Migration):
    dependencies = [("changes", "0002_functions"), ("tasks", "0011_created_index")]

    operations = [track_changes("tasks_task")]
