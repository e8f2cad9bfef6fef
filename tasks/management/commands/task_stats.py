"""``manage.py task_stats``: what there is and what comes in, for a person and for a program."""

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from commands.base import OperatorCommand, counted, whole_number
from tasks.management.arguments import owner
from tasks.models import Task
from tasks.statistics import Day, Totals, days_up_to, totals

MAX_DAYS = 3660


class Command(OperatorCommand):
    """Totals, and the numbers of each of the last days; ``tasks/statistics.py`` says what each counts."""

    help = "Show how many tasks there are, and how many were created, completed and trashed a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", type=owner, metavar="ID", help="Whose tasks; without it everybody's.")
        parser.add_argument(
            "--days", type=whole_number(1, MAX_DAYS), default=30, metavar="D", help="How many days, today included; 30."
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="One JSON object instead of a table.")

    def handle(self, *, user: str | None, days: int, as_json: bool, **_: Any) -> None:
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(user)
        report = totals(tasks), list(days_up_to(tasks, days, timezone.now().date()))
        self.stdout.write(as_object(user, *report) if as_json else as_table(*report))


def as_object(user: str | None, totals: Totals, days: list[Day]) -> str:
    by_day = [{**day._asdict(), "date": day.date.isoformat()} for day in days]
    return json.dumps({"user_id": user, "totals": totals._asdict(), "days": by_day})


def as_table(totals: Totals, days: list[Day]) -> str:
    live = f"{totals.live} live, {totals.completed} of them completed"
    sentence = f"{counted(totals.tasks, 'task')}: {live}, {totals.trashed} in the trash"
    rows = [Day._fields, *days]
    return "\n".join([sentence, "", *("{!s:<10}  {!s:>9}  {!s:>9}  {!s:>9}".format(*row) for row in rows)])
