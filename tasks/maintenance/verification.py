"""Verify the stored tasks against the model's constraints, and the table against the model.

The database evaluates the conditions of the constraints themselves, so verification and constraints cannot differ. A
row that was written while its constraint was dropped, or that is older than a ``NOT VALID`` constraint, is found too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import CharField, CheckConstraint, Count, Q, Value
from django.db.models.functions import Cast
from django.utils import timezone

from changes.triggers import trigger_faults
from database.expressions import HasAny, IsUTF8, IsUUID
from identity.user_ids import SINGLE_USER_ID
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import CLOCK_SKEW, MAX_VERSION

#: The number of ids that a finding lists.
SAMPLE_SIZE = 10

CONSTRAINTS = {
    constraint.name: constraint for constraint in Task._meta.constraints if isinstance(constraint, CheckConstraint)
}
INDEXES = {index.name: index for index in Task._meta.indexes}

#: The condition of the tasks that break a constraint, by the constraint's name.
VIOLATIONS = {name: ~Q(constraint.condition) for name, constraint in CONSTRAINTS.items()}


@dataclass(frozen=True)
class Finding:
    """A rule that tasks break, or a part of the table that is missing, invalid or disabled.

    Attributes:
        kind: ``rule``, ``missing``, ``invalid`` or ``disabled``.
        name: the name of the rule, constraint, index, column or trigger.
        tasks: the number of tasks that break the rule.
        sample: the ids of some of these tasks.
    """

    kind: str
    name: str
    tasks: int = 0
    sample: tuple[str, ...] = ()


class RuleCheck:
    """A check of batches of tasks that counts the tasks that break each rule."""

    def __init__(self) -> None:
        self.tasks = dict.fromkeys(dict(rule_violations()), 0)
        self.samples: dict[str, list[str]] = {name: [] for name in self.tasks}

    def check(self, batch: TaskQuerySet) -> int:
        """Check all rules by one statement, look up ids only for broken rules, and return the number of tasks."""
        violations = dict(rule_violations())
        counts = batch.order_by().aggregate(
            verified=Count("*"), **{name: Count("pk", filter=condition) for name, condition in violations.items()}
        )
        verified: int = counts.pop("verified")
        for name, tasks in counts.items():
            self.tasks[name] += tasks
            if tasks and len(self.samples[name]) < SAMPLE_SIZE:
                ids = batch.filter(violations[name]).values_list(Cast("id", CharField()), flat=True)
                self.samples[name] += map(_format_id, ids[: SAMPLE_SIZE - len(self.samples[name])])
        return verified

    def findings(self) -> list[Finding]:
        """Return a finding for each rule that a task breaks."""
        return [Finding("rule", name, tasks, tuple(self.samples[name])) for name, tasks in self.tasks.items() if tasks]


def batches_of_all_tasks(size: int) -> Iterator[TaskQuerySet]:
    """Yield every task in batches, first those whose id is no UUID, because no order includes them."""
    yield Task.objects.filter(~Q(IsUUID("id")))
    yield from Task.objects.filter(IsUUID("id")).in_batches(size)


def _format_id(id_: str) -> str:
    """Return an id as the API writes it; return text that is no UUID as it is stored."""
    try:
        return str(UUID(id_))
    except ValueError:
        return id_


def rule_violations() -> Iterator[tuple[str, Q]]:
    """Yield the name of each rule, and the condition of the tasks that break it now."""
    yield from VIOLATIONS.items()
    yield "updated_in_the_future", Q(updated_at__gt=timezone.now() + CLOCK_SKEW)
    yield "version_too_high", Q(version__gt=MAX_VERSION)
    yield "text_of_no_utf8", ~(Q(IsUTF8("title")) & Q(IsUTF8("description")))
    yield "owner_of_no_token", Q(HasAny("user_id", Value("[^!-~]")))
    if settings.AUTH_MODE != "single-user":
        yield "owner_of_single_user_mode", Q(user_id=SINGLE_USER_ID)


def verify_schema() -> list[Finding]:
    """Return the constraints, indexes, columns and triggers that the table lacks or does not enforce."""
    with connection.cursor() as cursor:
        table = Task._meta.db_table
        constraints = connection.introspection.get_constraints(cursor, table)
        columns = connection.introspection.get_table_description(cursor, table)
    primary_keys = [constraint for constraint in constraints.values() if constraint["primary_key"]]
    enforced = {
        *constraints,
        *(f"primary key {column}" for primary_key in primary_keys for column in primary_key["columns"]),
        *(f"not null {column.name}" for column in columns if not column.null_ok),
    }
    missing = [Finding("missing", name) for name in _expected() if name not in enforced]
    invalid = [Finding("invalid", name) for name in _invalid()]
    return missing + invalid + [Finding(kind, name) for name, kind in trigger_faults(table).items()]


def _expected() -> Iterator[str]:
    yield from CONSTRAINTS
    yield from INDEXES
    for field in Task._meta.concrete_fields:
        if field.primary_key:
            yield f"primary key {field.column}"
        if not field.null:
            yield f"not null {field.column}"


def _invalid() -> list[str]:
    """Return constraints that PostgreSQL never validated, and indexes that it did not finish."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND NOT convalidated"
            " UNION ALL"
            " SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE indrelid = to_regclass(%s) AND NOT indisvalid ORDER BY 1",
            [Task._meta.db_table] * 2,
        )
        return [name for (name,) in cursor.fetchall()]
