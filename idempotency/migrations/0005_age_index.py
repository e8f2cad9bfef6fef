from django.db import migrations, models

from database.migration_operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # an index is not made CONCURRENTLY in a transaction

    dependencies = [("idempotency", "0004_moving_users")]

    operations = [
        AddIndexConcurrently(
            "keptresponse",
            models.Index(
                fields=["user_id", "created_at"],
                condition=models.Q(("created_at__isnull", False)),
                name="idempotency_user_age",
            ),
        )
    ]
