"""The column that orders changes, and the tables of what a change feed must remember.

A table whose changes are tracked has the columns ``id``, ``user_id`` and ``change_number``, and the triggers of
``changes/triggers.py``. docs/decisions/0019-changes.md
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid4

from django.db import models, transaction
from django.db.models import F, Max
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan
from django.db.models.functions import Coalesce

#: How long the removal of a row is remembered.
REMEMBERED_FOR = timedelta(days=90)


class Position(NamedTuple):
    """A place in the feed of a user: the change number and the id of a row."""

    number: int
    id: UUID


#: The place before every change.
BEGINNING = Position(0, UUID(int=0))


class Epoch(models.Model):
    """The only row of its table: a period in which clients can follow the feed without starting again.

    A new value ends the period. Then every ``since`` is refused.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, help_text="Always 1.")
    value = models.CharField(max_length=32, help_text="A random value.")
    fingerprint = models.TextField(help_text="The database in which the period began, and not a copy of it.")
    floor = models.BigIntegerField(default=0, help_text="SQLite gives no change number up to this one again.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="changes_one_epoch")]

    def __str__(self) -> str:
        return self.value


class RemovalQuerySet(models.QuerySet["Removal"]):
    """Removals."""

    def of(self, user_id: Any, row_id: Any) -> Self:
        """Keep the removal of one row from one user; the arguments may be expressions."""
        return self.filter(user_id=user_id, row_id=row_id)

    def forget_in_batches(self, size: int) -> Iterator[int]:
        """Delete the removals of the set, and yield how many each transaction deleted.

        ``Forgotten`` remembers for each user up to where the removals are deleted.
        """
        after: tuple[Any, ...] = ("", *BEGINNING)
        while batch := self._first(after, size):
            yield self._forget(batch)
            after = batch[-1]

    def _first(self, after: tuple[Any, ...], size: int) -> list[tuple[str, int, UUID]]:
        order = ("user_id", "change_number", "row_id")
        rows = self.filter(TupleGreaterThan(Tuple(*map(F, order)), after))
        return list(rows.order_by(*order).values_list(*order)[:size])

    @transaction.atomic
    def _forget(self, batch: list[tuple[str, int, UUID]]) -> int:
        last: dict[str, Position] = {user_id: Position(number, row_id) for user_id, number, row_id in batch}
        for forgotten in Forgotten.objects.select_for_update().filter(user_id__in=last):
            last[forgotten.user_id] = max(last[forgotten.user_id], Position(forgotten.change_number, forgotten.row_id))
        Forgotten.objects.bulk_create(
            [
                Forgotten(user_id=user_id, change_number=number, row_id=row_id)
                for user_id, (number, row_id) in last.items()
            ],
            update_conflicts=True,
            unique_fields=["user_id"],
            update_fields=["change_number", "row_id"],
        )
        # The conditions of the set exclude a row that was removed again in the meantime.
        return self.filter(pk__in=[(user_id, row_id) for user_id, _, row_id in batch]).delete()[0]

    def erase_in_batches(self, user_id: str, size: int) -> Iterator[int]:
        """Delete all that is kept of one user, and yield how many removals each transaction deleted.

        Without the floor, SQLite would give the user's numbers again, and a state of before would skip changes.
        """
        removals, forgotten = self.filter(user_id=user_id), Forgotten.objects.filter(user_id=user_id)
        for numbered in (removals, forgotten):
            highest = numbered.aggregate(highest=Coalesce(Max("change_number"), 0))["highest"]
            Epoch.objects.filter(floor__lt=highest).update(floor=highest)
        first = removals.order_by("row_id").values_list("row_id", flat=True)
        while batch := list(first[:size]):
            yield removals.filter(row_id__in=batch).delete()[0]
        forgotten.delete()


class Removal(models.Model):
    """The memory of a user's row that was deleted or given to another user. Triggers write it."""

    pk = models.CompositePrimaryKey("user_id", "row_id")
    user_id = models.TextField(help_text="The user who had the row.")
    row_id = models.UUIDField(help_text="The id of the row.")
    change_number = models.BigIntegerField(help_text="The number of this change.")
    removed_at = models.DateTimeField(help_text="When the user lost the row.")

    objects = RemovalQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=("user_id", "change_number", "row_id"), name="changes_removal_feed")]

    def __str__(self) -> str:
        return str(self.row_id)


class Forgotten(models.Model):
    """The last removal of a user that is not remembered any more."""

    user_id = models.TextField(primary_key=True, help_text="The user.")
    change_number = models.BigIntegerField(help_text="The number of the removal.")
    row_id = models.UUIDField(help_text="The id of the removed row.")

    def __str__(self) -> str:
        return self.user_id


class Move(models.Model):
    """The move of one user's data to another database, or from one. ``changes/moves.py`` writes it."""

    class State(models.TextChoices):
        """Where the data is. Triggers refuse the user's writes unless the data has arrived."""

        LEAVING = "leaving"
        LEFT = "left"
        ARRIVED = "arrived"

    user_id = models.TextField(primary_key=True, help_text="The user.")
    move_id = models.UUIDField(default=uuid4, help_text="Identifies the move in both databases and in its file.")
    state = models.CharField(max_length=7, choices=State, default=State.LEAVING, help_text="Where the data is.")

    def __str__(self) -> str:
        return f"{self.user_id}: {self.state}"
