"""How many tasks there are, for people: exact as far as counting is quick, and beyond it what the database reckons."""

import json
from typing import NamedTuple

from django.db import connections
from django.db.models import Func, IntegerField

from tasks.models import TaskQuerySet

EXACTLY = ""
ABOUT = "about "
MORE_THAN = "more than "


class Total(NamedTuple):
    """A number of tasks, and how well it is known: ``EXACTLY``, ``ABOUT`` or ``MORE_THAN``."""

    number: int
    precision: str = EXACTLY

    def __str__(self) -> str:
        return f"{self.precision}{self.number:,}"


def total(tasks: TaskQuerySet, most: int) -> Total:
    """The number of ``tasks``, counted up to ``most``."""
    counted = tasks.order_by()[: most + 1].count()
    return Total(counted) if counted <= most else beyond(tasks, most)


def beyond(tasks: TaskQuerySet, most: int) -> Total:
    """The number of ``tasks``, of which there are more than ``most``."""
    estimated = estimates(tasks)[0] if can_estimate(tasks) else 0
    return Total(estimated, ABOUT) if estimated > most else Total(most, MORE_THAN)


def can_estimate(tasks: TaskQuerySet) -> bool:
    """Whether the database keeps the statistics that an estimate is made from."""
    return connections[tasks.db].vendor == "postgresql"


def estimates(*sets: TaskQuerySet) -> list[int]:
    """How many tasks the planner expects of each of ``sets``, by one ``EXPLAIN``, which reads none of them."""
    # One more in front, since the plan of a single set has no list. What no parallel worker may carry out keeps it a
    # list of the sets, each whole, where they could be gathered from workers, each with its part of all of them.
    whole = Func(function="PG_BACKEND_PID", output_field=IntegerField())
    first, *others = (tasks.order_by().values_list(whole) for tasks in (sets[0], *sets))
    [explained] = json.loads(first.union(*others, all=True).explain(format="json"))
    return [int(plan["Plan Rows"]) for plan in explained["Plan"]["Plans"][1:]]
