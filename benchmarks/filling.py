"""``python -m benchmarks.filling NUMBER``: add so many tasks of the user ``default`` to the database."""

import os
import random
import sys
from datetime import timedelta

import django

BATCH = 1000
TITLES = (
    "Buy milk and bread",
    "Call the dentist about Thursday",
    "Renew the passport",
    "Zähler ablesen und melden",
    "Write the minutes of Monday's meeting",
    "Pay the invoice",
)
DESCRIPTION = "Ask who is in charge first, then write it down; what was agreed last time is in the shared folder."


def fill(number: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from tasks.models import Task

    chance = random.Random(number)
    oldest = timezone.now() - timedelta(seconds=number)
    for start in range(0, number, BATCH):
        tasks = [
            Task(
                user_id="default",
                title=f"{chance.choice(TITLES)} ({n})",
                description=DESCRIPTION,
                completed=chance.random() < 0.5,
                created_at=oldest + timedelta(seconds=n),
                updated_at=oldest + timedelta(seconds=n),
            )
            for n in range(start, min(start + BATCH, number))
        ]
        Task.objects.bulk_create(tasks)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does within a minute


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
    django.setup()
    fill(int(sys.argv[1]))
