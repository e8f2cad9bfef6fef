"""Whether the stored tasks keep their rules, and whether the database is still one that makes them.

Each rule is asked of the database by the condition of its own constraint, so that the two cannot differ: a row that
came past a constraint which was dropped, or is ``NOT VALID``, is found all the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import CharField, CheckConstraint, Count, Q, Value
from django.db.models.functions import Cast
from django.utils import timezone

from commands.base import counted
from database.connections import LOCK_TIMEOUT
from database.expressions import HasAny, IsUUID, Trim
from tasks.models import LATEST, MAX_VERSION, Task, TaskQuerySet
from tasks.rules import WHITE_SPACE

#: How far the clocks of servers that write may be apart.
CLOCK_SKEW = timedelta(minutes=1)

#: Ids that a finding names.
SAMPLE = 10

#: The owner of every task in single-user mode.
SINGLE_USER = "default"

CONSTRAINTS = {
    constraint.name: constraint for constraint in Task._meta.constraints if isinstance(constraint, CheckConstraint)
}
BROKEN = {name: ~Q(constraint.condition) for name, constraint in CONSTRAINTS.items()}
INDEXES = {index.name: index for index in Task._meta.indexes}

#: Rules that a task keeps again once it is written with a trimmed title: any write moves ``updated_at`` on.
MENDABLE = ("task_title_trimmed", "task_updated_after_created")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        kind: ``rule``, ``missing`` or ``invalid``.
        name: of the rule, constraint, index or column.
        tasks: how many break the rule.
        sample: the ids of some of them.
    """

    kind: str
    name: str
    tasks: int = 0
    sample: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "rule":
            return f"{self.name}: broken by {counted(self.tasks, 'task')}, such as {', '.join(self.sample[:1])}"
        return f"{self.name}: {self.kind}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Rules:
    """Counts, batch by batch, the tasks that break each rule."""

    def __init__(self) -> None:
        self.verified = 0
        self.tasks = dict.fromkeys(dict(broken()), 0)
        self.samples: dict[str, list[str]] = {name: [] for name in self.tasks}

    def check(self, batch: TaskQuerySet) -> int:
        """Ask the whole of ``batch`` in one statement, and only of a rule that is broken by which tasks."""
        conditions = dict(broken())  # anew for each batch: what is the future goes on
        counts = batch.order_by().aggregate(
            verified=Count("*"), **{name: Count("pk", filter=condition) for name, condition in conditions.items()}
        )
        number: int = counts.pop("verified")
        self.verified += number
        for name, tasks in counts.items():
            self.tasks[name] += tasks
            if tasks and len(self.samples[name]) < SAMPLE:
                ids = batch.filter(conditions[name]).values_list(Cast("id", CharField()), flat=True)
                self.samples[name] += map(_shown, ids[: SAMPLE - len(self.samples[name])])
        return number

    def findings(self) -> list[Finding]:
        return [Finding("rule", name, tasks, tuple(self.samples[name])) for name, tasks in self.tasks.items() if tasks]


def batches(size: int) -> Iterator[TaskQuerySet]:
    """All tasks. What has no id that Django reads has no place between two others, and comes first."""
    yield Task.objects.filter(~Q(IsUUID("id")))
    yield from Task.objects.filter(IsUUID("id")).in_batches(size)


def _shown(id_: str) -> str:
    """As the API shows it, or else as it is stored."""
    try:
        return str(UUID(id_))
    except ValueError:
        return id_


def broken() -> Iterator[tuple[str, Q]]:
    """Each rule, and the condition of a task that breaks it."""
    yield from BROKEN.items()
    yield "updated_in_the_future", Q(updated_at__gt=timezone.now() + CLOCK_SKEW)
    yield "version_too_high", Q(version__gt=MAX_VERSION)
    yield "owner_of_no_token", Q(HasAny("user_id", Value("[^!-~]")))
    if settings.AUTH_MODE != "single-user":
        yield "owner_of_single_user_mode", Q(user_id=SINGLE_USER)


def verify_schema() -> list[Finding]:
    """Constraints, indexes and columns that the model has and the database has not, or does not enforce."""
    with connection.cursor() as cursor:
        table = Task._meta.db_table
        there = connection.introspection.get_constraints(cursor, table)
        columns = connection.introspection.get_table_description(cursor, table)
    enforced = {
        *there,
        *(f"primary key {column}" for one in there.values() if one["primary_key"] for column in one["columns"]),
        *(f"not null {column.name}" for column in columns if not column.null_ok),
    }
    missing = [Finding("missing", name) for name in _expected() if name not in enforced]
    return missing + [Finding("invalid", name) for name in _invalid()]


def _expected() -> Iterator[str]:
    yield from CONSTRAINTS
    yield from INDEXES
    for field in Task._meta.concrete_fields:
        if field.primary_key:
            yield f"primary key {field.column}"
        if not field.null:
            yield f"not null {field.column}"


def _invalid() -> list[str]:
    """Constraints that were never checked against what was there, and indexes whose building failed."""
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


def mend(findings: Sequence[Finding], batch_size: int) -> None:
    """Mend what can be without a loss, and without keeping requests waiting; what cannot is left.

    Tasks first, since a constraint is only made where all keep it. SQLite has no way to add a constraint but to write
    the whole table anew, which is a migration's business.
    """
    for batch in _mendable().in_batches(batch_size):
        batch.change(title=Trim("title", Value(WHITE_SPACE)))
    for finding in findings:
        if finding.kind != "rule" and finding.name in INDEXES:
            _build_index(finding)
        elif finding.kind != "rule" and finding.name in CONSTRAINTS and connection.vendor == "postgresql":
            with suppress(OperationalError):  # somebody's open transaction holds the table
                _enforce(finding)


def _mendable() -> TaskQuerySet:
    """Tasks that break no rule but those of ``MENDABLE``: a write of any other may be refused.

    As is one that has nowhere to move ``version`` or ``updated_at`` to, or that would be written before it was made.
    """
    broken = reduce(or_, (BROKEN[name] for name in MENDABLE))
    sound = (~BROKEN[name] for name in BROKEN if name not in MENDABLE)
    within = {"version__lte": MAX_VERSION, "updated_at__lt": LATEST, "created_at__lte": timezone.now()}
    return Task.objects.filter(broken, *sound, **within)


def _build_index(finding: Finding) -> None:
    concurrently = {"concurrently": True} if connection.vendor == "postgresql" else {}
    with connection.schema_editor(atomic=False) as editor:
        if finding.kind == "invalid":
            editor.remove_index(Task, INDEXES[finding.name], **concurrently)
        editor.add_index(Task, INDEXES[finding.name], **concurrently)


def _enforce(finding: Finding) -> None:
    """Add the constraint for what is written from now on, then for what is there, which locks no writer out.

    Nothing is done while a task breaks the rule: nobody could write it any more.

    Raises:
        OperationalError: a transaction is open behind which this one, and with it the API, would have to wait.
    """
    if Task.objects.filter(BROKEN[finding.name]).exists():
        return
    with connection.schema_editor(atomic=False) as editor:
        if finding.kind == "missing":
            statement = CONSTRAINTS[finding.name].create_sql(Task, editor)
            with transaction.atomic():
                editor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                editor.execute(f"{statement} NOT VALID", params=None)
        editor.execute(f'ALTER TABLE "{Task._meta.db_table}" VALIDATE CONSTRAINT "{finding.name}"')
