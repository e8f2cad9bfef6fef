from django.db import migrations, models


def keep_out_of_the_log(apps, schema_editor):
    """An unlogged table: counting a request waits for no disk. After a crash everybody's window begins anew."""
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
                ("used", models.BigIntegerField(help_text="Requests in this window, those that were refused too.")),
                ("ends", models.FloatField(help_text="When it ends, in seconds since 1970.")),
            ],
        ),
        migrations.RunPython(keep_out_of_the_log, migrations.RunPython.noop),
    ]
