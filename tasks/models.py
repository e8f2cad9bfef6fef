"""What a task is and what may be done to it. Knows neither HTTP nor Django REST framework."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import connections, models
from django.db.models import F, Func, Q, Value
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.db.models.functions import Greatest, Length
from django.db.models.lookups import Exact, LessThanOrEqual
from django.db.models.sql import DeleteQuery, UpdateQuery
from django.utils import timezone
from uuid_utils.compat import uuid7

from database.expressions import (
    CodePoints,
    HasAny,
    HasNul,
    IsInteger,
    IsText,
    IsTime,
    IsUUID,
    Parameter,
    Trim,
    character_set,
    uuid_version,
)
from tasks.rules import DESCRIPTION_FORBIDDEN, INVISIBLE, NUL, TITLE_FORBIDDEN, WHITE_SPACE

TITLE_MAX_LENGTH = 200
DESCRIPTION_MAX_LENGTH = 2000
USER_ID_MAX_LENGTH = 255

#: The highest that a task comes in with. Each write adds one, and no number of them gets from here to the end of the
#: column; up to here a reader that has JavaScript's numbers has the very one (RFC 8259, section 6).
MAX_VERSION = 2**53

#: What RFC 3339 can say.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

TITLE_MESSAGES: dict[str, Any] = {
    "required": "Title is required",
    "null": "Title must be a string",
    "invalid": "Title must be a string",
    "blank": "Title must not be blank",
    "max_length": f"Title exceeds maximum length of {TITLE_MAX_LENGTH} characters",
    "forbidden_character": "Title must not contain control characters, line breaks or lone surrogates",
}
DESCRIPTION_MESSAGES: dict[str, Any] = {
    "invalid": "Description must be a string",
    "max_length": f"Description exceeds maximum length of {DESCRIPTION_MAX_LENGTH} characters",
    "forbidden_character": (
        "Description must not contain control characters other than tab and line breaks, or lone surrogates"
    ),
}
COMPLETED_MESSAGES: dict[str, Any] = {
    "null": "Completed must be true or false",
    "invalid": "Completed must be true or false",
}
#: What a token may name, by ``identity/authentication.py``: a task of anybody else would be out of all reach.
USER_ID_RULE = f"must be 1 to {USER_ID_MAX_LENGTH} visible ASCII characters"

_USER_ID = re.compile(rf"[\x21-\x7e]{{1,{USER_ID_MAX_LENGTH}}}")
_FORBIDDEN_IN_TITLE = re.compile(f"[{re.escape(TITLE_FORBIDDEN)}\ud800-\udfff]")
_FORBIDDEN_IN_DESCRIPTION = re.compile(f"[{re.escape(DESCRIPTION_FORBIDDEN)}\ud800-\udfff]")


def validate_title(title: str) -> None:
    """Refuse a trimmed title that shows nothing, or that breaks the line it stands on."""
    if not title.strip(INVISIBLE):
        raise ValidationError(TITLE_MESSAGES["blank"], code="blank")
    if _FORBIDDEN_IN_TITLE.search(title):
        raise ValidationError(TITLE_MESSAGES["forbidden_character"], code="forbidden_character")


def validate_description(description: str) -> None:
    """Refuse what JSON, PostgreSQL or a terminal could not carry."""
    if _FORBIDDEN_IN_DESCRIPTION.search(description):
        raise ValidationError(DESCRIPTION_MESSAGES["forbidden_character"], code="forbidden_character")


def validate_user_id(user_id: str) -> None:
    """Refuse an owner whom no token can name."""
    if not _USER_ID.fullmatch(user_id):
        raise ValidationError(f"Owner {USER_ID_RULE}", code="invalid")


#: Where a list that is sorted by a column and by id has come to.
Position = tuple[Any, UUID]

#: What a write of tasks is made of.
WriteQuery = TypeVar("WriteQuery", UpdateQuery, DeleteQuery)

#: When a write takes place, or the place for it in a compiled statement.
Moment = datetime | Parameter

NEWEST_FIRST = "-created_at"
LAST_WRITTEN_FIRST = "-updated_at"
ORDERINGS: dict[str, F | Func] = {
    sign + name: column
    for name, column in (
        ("created_at", F("created_at")),
        ("updated_at", F("updated_at")),
        ("title", CodePoints("title")),
    )
    for sign in ("-", "")
}


LIVE = Q(deleted_at=None)
TRASHED = Q(deleted_at__isnull=False)


class TaskQuerySet(models.QuerySet["Task"]):
    """Tasks, and everything that may be done to them.

    The verbs (``change``, ``toggle``, ``move_to_trash``, ``restore``, ``remove``) write all tasks of the set in one
    statement and return them as they are afterwards, so what a caller reads is what its own write made. Their queries
    (``changed``, ``toggled``, ``trashed``, ``restored``, ``removed``) are compiled once for the API, in
    ``tasks/api/statements.py``.
    """

    def owned_by(self, user_id: str) -> Self:
        return self.filter(user_id=user_id)

    def live(self) -> Self:
        return self.filter(LIVE)

    def in_trash(self) -> Self:
        return self.filter(TRASHED)

    def mentioning(self, *words: str) -> Self:
        """Tasks with each of ``words`` in the title or the description, whatever its case."""
        tasks = self
        for word in words:
            tasks = tasks.filter(Q(title__mentions=word) | Q(description__mentions=word))
        return tasks

    def newest_first(self) -> Self:
        return self.in_order(NEWEST_FIRST)

    def in_order(self, ordering: str) -> Self:
        """Sorted by a key of ``ORDERINGS``, and where that is equal by ``id`` in the same direction."""
        columns = (ORDERINGS[ordering], F("id"))
        return self.order_by(*(column.desc() if ordering.startswith("-") else column.asc() for column in columns))

    def after(self, position: Position, ordering: str) -> Self:
        """What follows ``position`` in the order of ``ordering``."""
        follows = TupleLessThan if ordering.startswith("-") else TupleGreaterThan
        return self.filter(follows(Tuple(ORDERINGS[ordering], F("id")), position))

    def addressed(self, id: UUID, versions: Collection[int] | None = None) -> Self:
        """The task of that id, if it is at one of ``versions``; without them, at whichever."""
        task = self.filter(id=id).order_by()
        return task if versions is None else task.filter(version__in=versions)

    def trashed_before(self, moment: datetime) -> Self:
        return self.filter(deleted_at__lt=moment)

    def in_batches(self, size: int) -> Iterator[Self]:
        """These tasks as sets of ``size`` by ``id``, each to be read or written by a statement of its own.

        Nothing is held between two of them: no transaction, and no cursor, which a pooler could not keep. What is
        written meanwhile is in its set if it is so when that is read. Memory does not grow with the number of tasks.
        """
        tasks = self.order_by("id")
        ids = list(tasks.values_list("id", flat=True)[:size])
        while ids:
            yield tasks.filter(id__range=(ids[0], ids[-1]))
            ids = list(tasks.filter(id__gt=ids[-1]).values_list("id", flat=True)[:size]) if len(ids) == size else []

    def insert(self, tasks: "Sequence[Task]") -> None:
        """Store new tasks, all or none: on PostgreSQL by ``COPY``, in about half the time of ``INSERT``.

        Raises:
            IntegrityError: one of them breaks a rule, or its id is taken.
        """
        rows = [task.columns() for task in tasks]
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            self.bulk_create(tasks)
            return
        names = ", ".join(f'"{field.column}"' for field in self.model._meta.concrete_fields)
        statement = f'COPY "{self.model._meta.db_table}" ({names}) FROM STDIN'
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(list(row.values()))

    def change(self, **values: Any) -> "list[Task]":
        """Write the named columns; with none, write nothing and only read."""
        return self._write(self.changed(timezone.now(), **values)) if values else list(self)

    def toggle(self) -> "list[Task]":
        return self._write(self.toggled(timezone.now()))

    def move_to_trash(self) -> "list[Task]":
        return self._write(self.trashed(timezone.now()))

    def restore(self) -> "list[Task]":
        return self._write(self.restored(timezone.now()))

    def remove(self) -> "list[Task]":
        """Delete for good; what is returned is what there was."""
        return self._write(self.removed())

    def toggled(self, now: Moment) -> UpdateQuery:
        return self.changed(now, completed=~F("completed"))

    def trashed(self, now: Moment) -> UpdateQuery:
        return self.changed(now, deleted_at=now)

    def restored(self, now: Moment) -> UpdateQuery:
        return self.changed(now, deleted_at=None)

    def removed(self) -> DeleteQuery:
        return self._writing(DeleteQuery)

    def changed(self, now: Moment, **values: Any) -> UpdateQuery:
        """The query that writes ``values``, and the only place that moves ``version`` and ``updated_at``.

        The clock may stand still or step back between two writes; ``updated_at`` grows all the same.
        """
        query = self._writing(UpdateQuery)
        tick = F("updated_at") + timedelta(microseconds=1)
        moment = Value(now) if isinstance(now, datetime) else now
        query.add_update_values(dict(version=F("version") + 1, updated_at=Greatest(moment, tick), **values))
        return query

    def _writing(self, kind: type[WriteQuery]) -> WriteQuery:
        if self.query.is_sliced:
            raise TypeError("Cannot write a query once a slice has been taken.")
        return cast("WriteQuery", self.query.chain(kind))

    def _write(self, query: UpdateQuery | DeleteQuery) -> "list[Task]":
        """``… RETURNING``, which Django 5.2 has no method for: its own compiler's statement, and a clause."""
        try:
            statement, params = query.get_compiler(self.db).as_sql()
        except EmptyResultSet:
            return []
        columns = ", ".join(f'"{field.column}"' for field in self.model._meta.concrete_fields)
        return list(self.model._default_manager.using(self.db).raw(f"{statement} RETURNING {columns}", params))


class Task(models.Model):
    """One thing to do, of one user. Limits stand here and, as constraints, in the database."""

    id = models.UUIDField(
        primary_key=True, default=uuid7, editable=False, help_text="UUID version 7, made by the server."
    )
    user_id = models.CharField(
        "owner",
        max_length=USER_ID_MAX_LENGTH,
        validators=[validate_user_id],
        help_text="Whose task it is: the subject of the identity provider.",
    )
    title = models.CharField(
        max_length=TITLE_MAX_LENGTH,
        validators=[validate_title],
        help_text=f"What is to be done, in one line of 1 to {TITLE_MAX_LENGTH} characters.",
    )
    description = models.TextField(
        blank=True,
        default="",
        max_length=DESCRIPTION_MAX_LENGTH,
        validators=[validate_description],
        help_text=f"More about it, up to {DESCRIPTION_MAX_LENGTH} characters; line breaks are kept.",
    )
    completed = models.BooleanField(default=False, help_text="Whether it is done.")
    created_at = models.DateTimeField(
        "created", default=timezone.now, editable=False, help_text="When it was made, in UTC."
    )
    updated_at = models.DateTimeField(
        "updated", editable=False, help_text="When it was last written, in UTC; grows with every write."
    )
    version = models.BigIntegerField(
        default=1,
        editable=False,
        help_text="1 at creation and one more at every write; quoted, it is the ETag.",
    )
    deleted_at = models.DateTimeField(
        "trashed",
        null=True,
        blank=True,
        editable=False,
        help_text="When it went to the trash; empty while it is live.",
    )

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(
                "user_id",
                F("created_at").desc(),
                F("id").desc(),
                condition=LIVE,
                name="task_list",
            ),
            models.Index("user_id", F("updated_at").desc(), F("id").desc(), condition=LIVE, name="task_updated"),
            models.Index("user_id", CodePoints("title"), F("id"), condition=LIVE, name="task_title"),
            models.Index("user_id", F("updated_at").desc(), F("id").desc(), condition=TRASHED, name="task_trash"),
            models.Index("deleted_at", condition=TRASHED, name="task_deleted"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(Exact(uuid_version("id"), Value("7"))) & Q(IsUUID("id")),
                name="task_id_is_uuid_7",
            ),
            models.CheckConstraint(
                condition=~Q(user_id="") & ~Q(HasNul("user_id")) & Q(IsText("user_id")),
                name="task_user_id_not_empty",
            ),
            models.CheckConstraint(
                condition=Q(LessThanOrEqual(Length("user_id"), USER_ID_MAX_LENGTH)),
                name="task_user_id_max_length",
            ),
            models.CheckConstraint(
                condition=Q(title=Trim("title", Value(WHITE_SPACE))),
                name="task_title_trimmed",
            ),
            models.CheckConstraint(
                condition=~Q(Exact(Trim("title", Value(INVISIBLE.replace(NUL, ""))), Value(""))),
                name="task_title_not_blank",
            ),
            models.CheckConstraint(
                condition=Q(LessThanOrEqual(Length("title"), TITLE_MAX_LENGTH)),
                name="task_title_max_length",
            ),
            models.CheckConstraint(
                condition=~Q(HasAny("title", character_set(TITLE_FORBIDDEN)))
                & ~Q(HasNul("title"))
                & Q(IsText("title")),
                name="task_title_characters",
            ),
            models.CheckConstraint(
                condition=Q(LessThanOrEqual(Length("description"), DESCRIPTION_MAX_LENGTH)),
                name="task_description_max_length",
            ),
            models.CheckConstraint(
                condition=~Q(HasAny("description", character_set(DESCRIPTION_FORBIDDEN)))
                & ~Q(HasNul("description"))
                & Q(IsText("description")),
                name="task_description_characters",
            ),
            models.CheckConstraint(
                condition=Q(completed__in=(True, False)),
                name="task_completed_is_boolean",
            ),
            models.CheckConstraint(
                condition=Q(created_at__gte=EARLIEST, updated_at__lte=LATEST)
                & (Q(deleted_at=None) | Q(deleted_at__range=(EARLIEST, LATEST)))
                & Q(IsTime("created_at"))
                & Q(IsTime("updated_at"))
                & Q(IsTime("deleted_at")),
                name="task_times_in_rfc_3339",
            ),
            models.CheckConstraint(
                condition=Q(updated_at__gte=F("created_at")),
                name="task_updated_after_created",
            ),
            models.CheckConstraint(
                condition=Q(version__gte=1) & Q(IsInteger("version")),
                name="task_version_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, **options: Any) -> None:
        """Insert a new task. A stored one is changed by ``TaskQuerySet``, which names the columns it writes.

        Raises:
            TypeError: the task is stored already.
        """
        if not self._state.adding:
            raise TypeError("A stored task is changed through Task.objects.filter(…).change(…)")
        self.updated_at = self.updated_at or self.created_at
        super().save(**options)

    def columns(self) -> dict[str, Any]:
        """What is inserted for a new task, by column; it was last written when it was made."""
        self.updated_at = self.updated_at or self.created_at
        return {field.attname: getattr(self, field.attname) for field in self._meta.concrete_fields}
