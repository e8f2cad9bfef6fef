from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0008_planning_indexes")]

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
    ]
