from django.db import migrations

from database.migration_operations import RemoveIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # an index is not dropped CONCURRENTLY in a transaction

    dependencies = [("idempotency", "0005_age_index")]

    operations = [RemoveIndexConcurrently("keptresponse", "idempotency_user_created")]
