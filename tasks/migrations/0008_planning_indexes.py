import django.db.models.functions.comparison
from django.db import migrations, models

import tasks.fields
from database.migration_operations import AddIndexConcurrently, ValidateConstraints

BATCH_SIZE = 1000

# Each batch is a statement of its own, so that no request waits for long.
SET_COMPLETED_AT = """
WITH batch AS (
    SELECT id FROM tasks_task WHERE completed AND completed_at IS NULL AND id > %s ORDER BY id LIMIT %s
), written AS (
    UPDATE tasks_task SET completed_at = updated_at FROM batch
    WHERE tasks_task.id = batch.id AND completed AND completed_at IS NULL
)
SELECT id FROM batch ORDER BY id DESC LIMIT 1
"""


def set_completed_at(apps, schema_editor):
    """Take the last write of a completed task as its completion.

    The tasks on SQLite have this time already.
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        last = "00000000-0000-0000-0000-000000000000"
        while last:
            cursor.execute(SET_COMPLETED_AT, [last, BATCH_SIZE])
            last = (cursor.fetchone() or [None])[0]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("tasks", "0007_planning"),
    ]

    operations = [
        migrations.RunPython(set_completed_at, migrations.RunPython.noop),
        ValidateConstraints(
            "task",
            [
                "task_title_trimmed",
                "task_title_not_blank",
                "task_title_characters",
                "task_description_characters",
                "task_due_form",
                "task_priority_known",
                "task_labels_names",
                "task_labels_max_number",
                "task_completed_at_while_completed",
            ],
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                models.F("user_id"),
                django.db.models.functions.comparison.Coalesce(
                    tasks.fields.WallClock("due"), models.Func(output_field=models.CharField(), template="'~'")
                ),
                models.F("id"),
                condition=models.Q(("deleted_at", None)),
                name="task_due",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                models.F("user_id"),
                models.F("priority"),
                models.F("id"),
                condition=models.Q(("deleted_at", None)),
                name="task_priority",
            ),
        ),
    ]
