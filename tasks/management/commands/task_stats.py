"""``manage.py task_stats``: print how many tasks there are and what happened per day."""

import json
from argparse import ArgumentParser
from typing import Any

from commands.arguments import whole_number
from commands.base import OperatorCommand
from tasks.management.arguments import existing_user_id
from tasks.models import Task
from tasks.statistics import DailyCounts, TaskCount, TaskTotals, count_daily, count_totals, last_dates

MAX_DAYS = 3660


class Command(OperatorCommand):
    """The totals, and the numbers of each of the last days, as a table or as JSON."""

    help = "Show how many tasks there are, and how many were created, completed and trashed per day."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", type=existing_user_id, metavar="ID", help="Count only the tasks of this owner.")
        parser.add_argument(
            "--days",
            type=whole_number(1, MAX_DAYS),
            default=30,
            metavar="D",
            help=f"Show D days up to today, at most {MAX_DAYS} (default: 30).",
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print one JSON object.")

    def handle(self, *, user: str | None, days: int, as_json: bool, **_: Any) -> None:
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(user)
        totals, daily = count_totals(tasks), count_daily(tasks, last_dates(days))
        self.stdout.write(format_json(user, totals, daily) if as_json else format_table(totals, daily))


def format_json(user: str | None, totals: TaskTotals, days: list[DailyCounts]) -> str:
    """Return the statistics as one JSON object."""
    numbers = {"tasks": totals.all, **{name: count.number for name, count in totals._asdict().items()}}
    daily = [{**day._asdict(), "date": day.date.isoformat()} for day in days]
    return json.dumps({"user_id": user, "totals": numbers, "days": daily})


def format_table(totals: TaskTotals, days: list[DailyCounts]) -> str:
    """Return the totals as a sentence, and the days as a table."""
    live = f"{totals.live.amount} live, {totals.completed.amount} of them completed"
    sentence = f"{TaskCount(totals.all)}: {live}, {totals.trashed.amount} in the trash"
    rows = [DailyCounts._fields, *days]
    return "\n".join([sentence, "", *("{!s:<10}  {!s:>9}  {!s:>9}  {!s:>9}".format(*row) for row in rows)])
