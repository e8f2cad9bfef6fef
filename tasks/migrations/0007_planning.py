import datetime

import django.db.models.functions.comparison
import django.db.models.lookups
from django.db import migrations, models

import database.expressions
import tasks.fields
import tasks.rules
from database.migration_operations import AddConstraints, CheckByFunctions

# The previous version of the code writes no completed_at, and serves during a release. PostgreSQL then sets the column.
CREATE_TRIGGER = """
CREATE FUNCTION task_set_completed_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT NEW.completed THEN
        NEW.completed_at := NULL;
    ELSIF TG_OP = 'UPDATE' AND OLD.completed THEN
        NEW.completed_at := COALESCE(OLD.completed_at, OLD.updated_at);
    ELSE
        NEW.completed_at := NEW.updated_at;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER task_set_completed_at BEFORE INSERT OR UPDATE ON tasks_task FOR EACH ROW
    WHEN (NEW.completed <> (NEW.completed_at IS NOT NULL)) EXECUTE FUNCTION task_set_completed_at()
"""
DROP_TRIGGER = "DROP TRIGGER task_set_completed_at ON tasks_task; DROP FUNCTION task_set_completed_at()"


def create_trigger(apps, schema_editor):
    """SQLite has one process of one version, and completes the stored tasks at once."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CREATE_TRIGGER, params=None)
    else:
        schema_editor.execute("UPDATE tasks_task SET completed_at = updated_at WHERE completed")


def drop_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(DROP_TRIGGER, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0006_user_id_validator"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="completed_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When the task was last completed, in UTC; empty while the task is open.",
                null=True,
                verbose_name="completed at",
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="due",
            field=tasks.fields.DueField(
                blank=True,
                help_text="When the task is due: a date, a local time, an instant, or a local time with a time zone.",
                max_length=65,
                null=True,
                validators=[tasks.rules.validate_due],
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="labels",
            field=tasks.fields.LabelsField(
                blank=True,
                db_default=models.Value("{}", tasks.fields.LabelsField()),
                default=frozenset,
                help_text="Up to 20 names of up to 50 characters.",
                validators=[tasks.rules.validate_labels],
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="priority",
            field=tasks.fields.PriorityField(
                choices=[(0, "none"), (1, "low"), (2, "medium"), (3, "high")],
                db_default=0,
                default=0,
                help_text="How important the task is.",
            ),
        ),
        migrations.RunPython(create_trigger, drop_trigger),
        AddConstraints(
            "task",
            [
                models.CheckConstraint(condition=models.Q(tasks.fields.IsDue("due")), name="task_due_form"),
                models.CheckConstraint(
                    condition=models.Q(("priority__range", (0, 3)), database.expressions.IsInteger("priority")),
                    name="task_priority_known",
                ),
                models.CheckConstraint(
                    condition=models.Q(tasks.fields.AreLabels("labels"), database.expressions.IsText("labels")),
                    name="task_labels_names",
                ),
                models.CheckConstraint(
                    condition=models.Q(django.db.models.lookups.LessThanOrEqual(tasks.fields.LabelCount("labels"), 20)),
                    name="task_labels_max_number",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("completed", False), ("completed_at", None)),
                        models.Q(
                            ("completed", True),
                            ("completed_at__isnull", False),
                            (
                                "completed_at__range",
                                (
                                    datetime.datetime(1, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.UTC),
                                ),
                            ),
                            database.expressions.IsTime("completed_at"),
                        ),
                        _connector="OR",
                    ),
                    name="task_completed_at_while_completed",
                ),
            ],
        ),
        CheckByFunctions(
            "task",
            {
                "task_title_trimmed": "title",
                "task_title_not_blank": "title",
                "task_title_characters": "title",
                "task_description_characters": "description",
                "task_due_form": "due",
                "task_labels_names": "labels",
                "task_labels_max_number": "labels",
            },
        ),
    ]
