import uuid

from django.db import migrations, models

from changes.triggers import create_refusal
from database.row_security import create_policy


class Migration(migrations.Migration):
    dependencies = [("changes", "0002_functions")]

    operations = [
        migrations.CreateModel(
            name="Move",
            fields=[
                ("user_id", models.TextField(help_text="The user.", primary_key=True, serialize=False)),
                (
                    "move_id",
                    models.UUIDField(
                        default=uuid.uuid4, help_text="Identifies the move in both databases and in its file."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("leaving", "Leaving"), ("left", "Left"), ("arrived", "Arrived")],
                        default="leaving",
                        help_text="Where the data is.",
                        max_length=7,
                    ),
                ),
            ],
        ),
        create_refusal(),
        create_policy("changes_move"),
    ]
