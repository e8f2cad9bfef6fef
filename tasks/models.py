"""The task as a table."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Length
from django.db.models.lookups import Exact, LessThanOrEqual
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
    Trim,
    character_set,
    uuid_version,
)
from identity.user_ids import USER_ID_MAX_LENGTH
from tasks.due import DUE_MAX_LENGTH
from tasks.fields import AreLabels, DueField, IsDue, LabelCount, LabelsField, PriorityField
from tasks.querysets import LIVE, SORT_KEYS, TRASHED, TaskQuerySet
from tasks.rules import (
    DESCRIPTION_FORBIDDEN,
    DESCRIPTION_MAX_LENGTH,
    EARLIEST,
    INVISIBLE,
    LABEL_MAX_LENGTH,
    LABELS_MAX_NUMBER,
    LATEST,
    NUL,
    TITLE_FORBIDDEN,
    TITLE_MAX_LENGTH,
    WHITE_SPACE,
    Priority,
    validate_description,
    validate_due,
    validate_labels,
    validate_title,
    validate_user_id,
)


class Task(models.Model):
    """A thing to do, owned by one user. The database holds each rule as a constraint.

    Attributes:
        PUBLIC_FIELDS: the fields of each endpoint, export and import, in this order.
        WRITABLE_FIELDS: the fields that the owner and operators may change.
        INTERNAL_FIELDS: the fields that no endpoint shows; files have them.
        TRIGGER_FIELDS: the fields that triggers set, which neither endpoints nor files show.
    """

    PUBLIC_FIELDS = (
        "id",
        "title",
        "description",
        "completed",
        "due",
        "priority",
        "labels",
        "user_id",
        "created_at",
        "updated_at",
        "completed_at",
        "version",
    )
    WRITABLE_FIELDS = ("title", "description", "completed", "due", "priority", "labels")
    INTERNAL_FIELDS = ("deleted_at",)
    TRIGGER_FIELDS = ("change_number",)

    id = models.UUIDField(
        primary_key=True,
        default=uuid7,
        editable=False,
        help_text="A UUID of version 7, made by the server or a client.",
    )
    user_id = models.CharField(
        "owner",
        max_length=USER_ID_MAX_LENGTH,
        validators=[validate_user_id],
        help_text="The user who owns the task: the subject at the identity provider.",
    )
    title = models.CharField(
        max_length=TITLE_MAX_LENGTH,
        validators=[validate_title],
        help_text=f"The thing to do, on one line of 1 to {TITLE_MAX_LENGTH} characters.",
    )
    description = models.TextField(
        blank=True,
        default="",
        max_length=DESCRIPTION_MAX_LENGTH,
        validators=[validate_description],
        help_text=f"More about the task, up to {DESCRIPTION_MAX_LENGTH} characters, line breaks included.",
    )
    completed = models.BooleanField(default=False, help_text="Whether the task is done.")
    due = DueField(
        max_length=DUE_MAX_LENGTH,
        null=True,
        blank=True,
        validators=[validate_due],
        help_text="When the task is due: a date, a local time, an instant, or a local time with a time zone.",
    )
    priority = PriorityField(
        choices=Priority,
        default=Priority.NONE.value,
        db_default=Priority.NONE.value,
        help_text="How important the task is.",
    )
    labels = LabelsField(
        blank=True,
        default=frozenset,
        db_default=models.Value("{}", LabelsField()),
        validators=[validate_labels],
        help_text=f"Up to {LABELS_MAX_NUMBER} names of up to {LABEL_MAX_LENGTH} characters.",
    )
    created_at = models.DateTimeField(
        "created", default=timezone.now, editable=False, help_text="When the task was created, in UTC."
    )
    updated_at = models.DateTimeField(
        "updated", editable=False, help_text="When the task was last written, in UTC; grows with every write."
    )
    completed_at = models.DateTimeField(
        "completed at",
        null=True,
        blank=True,
        editable=False,
        help_text="When the task was last completed, in UTC; empty while the task is open.",
    )
    version = models.BigIntegerField(
        default=1,
        editable=False,
        help_text="1 at creation, plus 1 with every write; the ETag is this number in quotes.",
    )
    deleted_at = models.DateTimeField(
        "trashed",
        null=True,
        blank=True,
        editable=False,
        help_text="When the task went to the trash; empty while the task is live.",
    )

    change_number = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="The place of the last write in the change feed; a trigger sets it with every write.",
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
            models.Index(F("created_at").desc(), F("id").desc(), name="task_created"),
            models.Index("user_id", F("updated_at").desc(), F("id").desc(), condition=LIVE, name="task_updated"),
            models.Index("user_id", CodePoints("title"), F("id"), condition=LIVE, name="task_title"),
            models.Index("user_id", SORT_KEYS["due"], F("id"), condition=LIVE, name="task_due"),
            models.Index("user_id", "priority", "id", condition=LIVE, name="task_priority"),
            models.Index("user_id", F("updated_at").desc(), F("id").desc(), condition=TRASHED, name="task_trash"),
            models.Index("deleted_at", condition=TRASHED, name="task_deleted"),
            models.Index(fields=("user_id", "change_number", "id"), name="task_changes"),
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
            models.CheckConstraint(condition=Q(IsDue("due")), name="task_due_form"),
            models.CheckConstraint(
                condition=Q(priority__range=(Priority.NONE, Priority.HIGH)) & Q(IsInteger("priority")),
                name="task_priority_known",
            ),
            models.CheckConstraint(
                condition=Q(AreLabels("labels")) & Q(IsText("labels")),
                name="task_labels_names",
            ),
            models.CheckConstraint(
                condition=Q(LessThanOrEqual(LabelCount("labels"), LABELS_MAX_NUMBER)),
                name="task_labels_max_number",
            ),
            models.CheckConstraint(
                condition=Q(completed=False, completed_at=None)
                | Q(completed=True, completed_at__isnull=False, completed_at__range=(EARLIEST, LATEST))
                & Q(IsTime("completed_at")),
                name="task_completed_at_while_completed",
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
        """Insert a new task; ``TaskQuerySet`` changes stored tasks, because every write names its columns.

        Raises:
            TypeError: the task is stored already.
        """
        if not self._state.adding:
            raise TypeError("A stored task is changed through Task.objects.filter(…).change(…)")
        self.columns()
        super().save(**options)

    @classmethod
    def new_columns(cls, **values: Any) -> dict[str, Any]:
        """Return the values to insert for a new task by column, with defaults for those that are missing.

        Missing times are those of ``created_at``. To make a ``Task`` takes five times as long.

        Raises:
            TypeError: a name is no column.
        """
        defaults = _defaults()
        if not values.keys() <= defaults.keys():
            raise TypeError(f"Task has no columns {', '.join(sorted(values.keys() - defaults.keys()))}")
        columns = {name: values[name] if name in values else default() for name, default in defaults.items()}
        columns["updated_at"] = columns["updated_at"] or columns["created_at"]
        if columns["completed"] and columns["completed_at"] is None:
            columns["completed_at"] = columns["updated_at"]
        return columns

    def columns(self) -> dict[str, Any]:
        """Set the missing times of this new task, and return the values to insert by column."""
        columns = self.new_columns(**{name: getattr(self, name) for name in _defaults()})
        self.updated_at, self.completed_at = columns["updated_at"], columns["completed_at"]
        return columns


@cache
def _defaults() -> dict[str, Callable[[], Any]]:
    """Return the function that makes the default of each column."""
    return {field.attname: field.get_default for field in Task._meta.concrete_fields}
