from django.db import migrations

from database.row_security import create_policy


class Migration(migrations.Migration):
    dependencies = [
        ("idempotency", "0001_keptresponse"),
    ]

    operations = [create_policy("idempotency_keptresponse")]
