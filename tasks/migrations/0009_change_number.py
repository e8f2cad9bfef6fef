from django.db import migrations, models

from changes.triggers import track_changes


class Migration(migrations.Migration):
    dependencies = [("changes", "0002_functions"), ("tasks", "0008_planning_indexes")]

    operations = [
        migrations.AddField(
            model_name="task",
            name="change_number",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="The place of the last write in the change feed; a trigger sets it with every write.",
            ),
        ),
        track_changes("tasks_task"),
    ]
