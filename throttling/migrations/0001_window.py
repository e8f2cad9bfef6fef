from django.db import migrations, models


def make_table_unlogged(apps, schema_editor):
    """Make the table unlogged, so that counting does not wait for the disk. A crash empties the table."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE throttling_window SET UNLOGGED")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Window",
            fields=[
                (
                    "client",
                    models.CharField(
                        help_text="SHA-256 of the scope and of the user id or the address.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("used", models.BigIntegerField(help_text="Requests in this window, including refused ones.")),
                ("ends", models.FloatField(help_text="End of this window, in seconds since 1970.")),
            ],
        ),
        migrations.RunPython(make_table_unlogged, migrations.RunPython.noop),
    ]
