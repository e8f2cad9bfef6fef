"""Sets of tasks, and the one way to write them."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connections, models
from django.db.models import Case, Expression, F, Func, Q, Value, When
from django.db.models.expressions import Combinable
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.db.models.functions import Cast, Coalesce, Greatest
from django.db.models.lookups import LessThanOrEqual
from django.db.models.sql import DeleteQuery, UpdateQuery
from django.db.models.sql.constants import ROW_COUNT
from django.utils import timezone

from database.compiled_statements import Parameter
from database.expressions import CodePoints
from tasks.due import wall_clocks
from tasks.fields import LabelCount, LabelsField, PatchedLabels, WallClock
from tasks.rules import LABELS_MAX_NUMBER

if TYPE_CHECKING:
    from tasks.models import Task

#: The sort key and the id of the task that a page of a list ends with.
Position = tuple[Any, UUID]


class Changes(TypedDict, total=False):
    """The columns that a write of stored tasks may name; a value may be an expression.

    ``label_patch`` adds and removes labels, as a merge patch (RFC 7396) in JSON.
    """

    title: str | Combinable
    description: str | Combinable
    completed: bool | Combinable
    due: str | Combinable | None
    priority: int | Combinable
    labels: frozenset[str] | Combinable
    label_patch: str | Combinable
    user_id: str | Combinable
    deleted_at: datetime | Combinable | None


WriteQuery = TypeVar("WriteQuery", UpdateQuery, DeleteQuery)

LIVE = Q(deleted_at=None)
TRASHED = Q(deleted_at__isnull=False)

NEWEST_FIRST = "-created_at"
LAST_WRITTEN_FIRST = "-updated_at"

#: The sort key of tasks without a due date: due dates begin with digits, which sort before ``~``. The key is not a
#: parameter, because PostgreSQL's plan for any parameters could not use the index.
AFTER_EVERY_DUE = Func(template="'~'", output_field=models.CharField())

#: The expressions that a list can sort by. A nullable column needs ``Coalesce`` with a stand-in for ``NULL``.
SORT_KEYS: dict[str, F | Expression] = {
    "created_at": F("created_at"),
    "updated_at": F("updated_at"),
    "title": CodePoints("title"),
    "due": Coalesce(WallClock("due"), AFTER_EVERY_DUE),
    "priority": F("priority"),
}
ORDERINGS = [sign + name for name in SORT_KEYS for sign in ("-", "")]


def as_expression(value: Any, field: "models.Field[Any, Any] | None" = None) -> Any:
    """Return a value of ``field`` as an expression, and an expression unchanged."""
    return value if hasattr(value, "resolve_expression") else Value(value, field)


def sort_key(ordering: str) -> F | Expression:
    """Return the expression that an ordering sorts by."""
    return SORT_KEYS[ordering.removeprefix("-")]


def write_query(kind: type[WriteQuery], tasks: "TaskQuerySet") -> WriteQuery:
    """Return a query that writes the tasks of a set.

    Raises:
        TypeError: the set is a slice.
    """
    if tasks.query.is_sliced:
        raise TypeError("Cannot write a query once a slice has been taken.")
    return cast("WriteQuery", tasks.query.chain(kind))


class TaskQuerySet(models.QuerySet["Task"]):
    """A set of tasks, and every operation on tasks.

    The verbs (``change``, ``toggle``, ``move_to_trash``, ``restore``, ``remove``) write every task of the set in one
    statement, and return the number of written tasks. ``tasks/api/statements.py`` compiles the same queries
    (``change_query`` …) for the API.
    """

    def owned_by(self, user_id: str) -> Self:
        """Keep the tasks of one user."""
        return self.filter(user_id=user_id)

    def live(self) -> Self:
        """Keep the tasks outside the trash."""
        return self.filter(LIVE)

    def in_trash(self) -> Self:
        """Keep the tasks in the trash."""
        return self.filter(TRASHED)

    def trashed_before(self, moment: datetime) -> Self:
        """Keep the tasks that went to the trash before ``moment``."""
        return self.filter(deleted_at__lt=moment)

    def overdue(self, now: datetime, zone: ZoneInfo) -> Self:
        """Keep the open tasks whose due date is over; a date and a local time count by the clocks of ``zone``."""
        over = Q()
        for (clock,), endings in wall_clocks([now], zone).items():
            # A day is not over at its own times, although its text comes before them.
            day = clock[: len("2026-12-24")]
            before = Q(due__wall_clock__lt=day) | Q(due__wall_clock__gt=day, due__wall_clock__lt=clock)
            over |= Q(due__zone_suffix__in=endings) & before
        return self.filter(over, completed=False)

    def due_on(self, first: date, number_of_days: int, zone: ZoneInfo) -> Self:
        """Keep the tasks that are due on one of the days, which begin and end by the clocks of ``zone``."""
        midnights = [datetime.combine(first + timedelta(days=days), time(), zone) for days in (0, number_of_days)]
        within = Q()
        for clocks, endings in wall_clocks(midnights, zone).items():
            # Without a midnight's zeros, the text also comes before the day itself.
            start, end = (clock.removesuffix("T00:00:00") for clock in clocks)
            within |= Q(due__zone_suffix__in=endings, due__wall_clock__gte=start, due__wall_clock__lt=end)
        return self.filter(within)

    def addressed(self, id: UUID, versions: Collection[int] | None = None) -> Self:
        """Keep the task with this id, if its version is one of ``versions``; ``None`` admits any version."""
        task = self.filter(id=id).order_by()
        return task if versions is None else task.filter(version__in=versions)

    def mentioning(self, *words: str) -> Self:
        """Keep the tasks with each of ``words`` in the title or the description, in any case."""
        tasks = self
        for word in words:
            tasks = tasks.filter(Q(title__mentions=word) | Q(description__mentions=word))
        return tasks

    def newest_first(self) -> Self:
        """Sort by the time of creation, the newest first."""
        return self.in_order(NEWEST_FIRST)

    def in_order(self, ordering: str) -> Self:
        """Sort by one of ``ORDERINGS``, and tasks with equal keys by ``id`` in the same direction."""
        columns = (sort_key(ordering), F("id"))
        return self.order_by(*(column.desc() if ordering.startswith("-") else column.asc() for column in columns))

    def after(self, position: Position, ordering: str) -> Self:
        """Keep the tasks that follow ``position`` in the order of ``ordering``."""
        follows = TupleLessThan if ordering.startswith("-") else TupleGreaterThan
        return self.filter(follows(Tuple(sort_key(ordering), F("id")), position))

    def in_batches(self, size: int) -> Iterator[Self]:
        """Yield these tasks as sets of ``size``, in the order of ``id``, for one statement each.

        Between two sets no transaction and no cursor is open, because a pooler could keep neither. Memory does not
        grow with the number of tasks.
        """
        tasks = self.order_by("id")
        ids = list(tasks.values_list("id", flat=True)[:size])
        while ids:
            yield tasks.filter(id__range=(ids[0], ids[-1]))
            ids = list(tasks.filter(id__gt=ids[-1]).values_list("id", flat=True)[:size]) if len(ids) == size else []

    def insert(self, tasks: "Sequence[Task]") -> None:
        """Store new tasks, all or none; ``COPY`` of PostgreSQL takes half the time of ``INSERT``.

        Raises:
            IntegrityError: a task breaks a rule, or its id is in use.
        """
        rows = [task.columns() for task in tasks]  # for SQLite too, because bulk_create does not set missing times
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            self.bulk_create(tasks)
            return
        fields = self.model._meta.concrete_fields
        names = ", ".join(f'"{field.column}"' for field in fields)
        statement = f'COPY "{self.model._meta.db_table}" ({names}) FROM STDIN'
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([field.get_db_prep_save(row[field.attname], connection) for field in fields])

    def change(self, **values: Unpack[Changes]) -> int:
        """Write the named columns; without any, write nothing."""
        return self._run(self.change_query(timezone.now(), **values)) if values else 0

    def toggle(self) -> int:
        """Flip ``completed``."""
        return self._run(self.toggle_query(timezone.now()))

    def move_to_trash(self, deleted_at: datetime | None = None) -> int:
        """Move to the trash; statements with the same ``deleted_at`` can be undone together."""
        now = timezone.now()
        return self._run(self.change_query(now, deleted_at=deleted_at or now))

    def restore(self) -> int:
        """Bring back from the trash."""
        return self._run(self.restore_query(timezone.now()))

    def remove(self) -> int:
        """Delete for good."""
        return self._run(self.remove_query())

    def toggle_query(self, now: datetime | Parameter) -> UpdateQuery:
        """Build the query that flips ``completed``."""
        return self.change_query(now, completed=~F("completed"))

    def trash_query(self, now: datetime | Parameter) -> UpdateQuery:
        """Build the query that moves to the trash."""
        return self.change_query(now, deleted_at=now)

    def restore_query(self, now: datetime | Parameter) -> UpdateQuery:
        """Build the query that brings back from the trash."""
        return self.change_query(now, deleted_at=None)

    def remove_query(self) -> DeleteQuery:
        """Build the query that deletes for good."""
        return write_query(DeleteQuery, self)

    def change_query(self, now: datetime | Parameter, **values: Unpack[Changes]) -> UpdateQuery:
        """Build the query that writes ``values``.

        No other code raises ``version`` and ``updated_at``. ``updated_at`` grows with every write, even if the clock
        stops or goes back. ``completed_at`` moves only if ``completed`` becomes true. A task that would get too many
        labels is not written.
        """
        columns: dict[str, Any] = dict(values)
        updated_at = Greatest(as_expression(now), F("updated_at") + timedelta(microseconds=1))
        if "completed" in columns:
            is_completed = When(as_expression(columns["completed"]), then=Coalesce("completed_at", updated_at))
            columns["completed_at"] = Case(is_completed)
        if "label_patch" in columns:
            columns["labels"] = PatchedLabels("labels", as_expression(columns.pop("label_patch")))
        tasks = self.with_room_for(columns["labels"]) if "labels" in columns else self
        query = write_query(UpdateQuery, tasks)
        query.add_update_values(dict(version=F("version") + 1, updated_at=updated_at, **columns))
        return query

    def with_room_for(self, labels: Any) -> Self:
        """Keep the tasks for which ``labels``, a set of names or an expression, are not too many."""
        stored = Cast(as_expression(labels, LabelsField()), LabelsField())
        return self.filter(LessThanOrEqual(LabelCount(stored), LABELS_MAX_NUMBER))

    def _run(self, query: UpdateQuery | DeleteQuery) -> int:
        """Run a query, and return how many rows it wrote."""
        written: int | None = query.get_compiler(self.db).execute_sql(ROW_COUNT)
        return written or 0
