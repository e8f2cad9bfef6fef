from django.db import migrations

from todo_project.row_security import policy


class Migration(migrations.Migration):
    dependencies = [
        ("idempotency", "0001_keptresponse"),
    ]

    operations = [policy("idempotency_keptresponse")]
