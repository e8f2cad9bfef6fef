from django.db import migrations

from database.row_security import policy


class Migration(migrations.Migration):
    dependencies = [
        ("idempotency", "0001_keptresponse"),
    ]

    operations = [policy("idempotency_keptresponse")]
