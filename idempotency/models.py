"""The responses to requests with an ``Idempotency-Key``, kept for a day."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Self, cast

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import Exact, LessThanOrEqual
from django.db.models.sql import DeleteQuery, InsertQuery
from django.utils import timezone

from database.compiled_statements import Parameter

KEY_MAX_LENGTH = 255
KEPT_FOR = timedelta(hours=24)

#: The maximum number of expired responses that one request deletes. More would make its client wait too long.
PURGED_AT_ONCE = 10


class EqualsAny(Exact):
    """A comparison with each element of an array of PostgreSQL."""

    def get_rhs_op(self, connection: BaseDatabaseWrapper, rhs: str) -> str:
        return f"= ANY {rhs}"


class KeptResponseQuerySet(models.QuerySet["KeptResponse"]):
    """Kept responses."""

    def expired(self) -> Self:
        """Select the responses older than ``KEPT_FOR``."""
        return self.filter(created_at__lte=timezone.now() - KEPT_FOR)

    def with_key(self, user_id: str, key: str | Parameter, until: datetime | Parameter) -> Self:
        """Select and lock the response with a user's key, and select the user's oldest one until ``until``.

        The lock lets a replay wait for a synchronous standby, as the write did. Each subquery returns at most one id,
        so the database reads two rows by their ids.
        """
        of_user = self.filter(user_id=user_id)
        with_key = of_user.filter(key=key).select_for_update()
        expired = of_user.filter(created_at__lte=until).order_by("created_at")
        return self.filter(Q(id=with_key.values("id")[:1]) | Q(id=expired.values("id")[:1]))

    def insert_query(self, user_id: str, columns: Mapping[str, Any]) -> InsertQuery:
        """Build the query that stores a response."""
        query = InsertQuery(self.model)
        fields = [field for field in self.model._meta.concrete_fields if not field.primary_key]
        query.insert_values(fields, [self.model(user_id=user_id, **columns)], raw=True)
        return query

    def purge_query(self, user_id: str, until: datetime | Parameter) -> DeleteQuery:
        """Build the query that deletes the oldest responses of one user, up to ``PURGED_AT_ONCE``.

        The query skips rows that a concurrent request deletes, so that two requests never wait for each other.
        """
        rows = self.filter(user_id=user_id, created_at__lte=until).order_by("created_at")
        oldest = rows.select_for_update(skip_locked=True).values("id")[:PURGED_AT_ONCE]
        # With row-level security, PostgreSQL may run a subquery of IN for each row, but that of an array only once.
        is_array = connection.vendor == "postgresql"
        chosen = Q(EqualsAny(F("id"), ArraySubquery(oldest))) if is_array else Q(id__in=oldest)
        return cast("DeleteQuery", self.filter(chosen).query.chain(DeleteQuery))

    def delete_in_batches(self, size: int) -> Iterator[int]:
        """Delete the rows of the set, the oldest first, and yield how many rows each statement deleted."""
        rows = self.order_by("created_at", "id")[:size]
        while ids := list(rows.values_list("id", flat=True)):
            yield self.filter(id__in=ids).delete()[0]


class KeptResponse(models.Model):
    """A response, with the key and the fingerprint of its request. A stored row never changes."""

    user_id = models.TextField(help_text="The caller; two callers may use the same key.")
    key = models.CharField(max_length=KEY_MAX_LENGTH, help_text="The Idempotency-Key.")
    fingerprint = models.CharField(max_length=64, help_text="The SHA-256 of the request.")
    status = models.PositiveSmallIntegerField(help_text="The status of the response.")
    headers = models.JSONField(help_text="The headers Content-Type, ETag and Location of the response.")
    body = models.BinaryField(help_text="The body of the response, byte for byte.")
    created_at = models.DateTimeField(
        default=timezone.now, db_index=True, help_text="When the response was kept; a day later the key is free again."
    )

    objects = KeptResponseQuerySet.as_manager()

    class Meta:
        # The condition keeps PostgreSQL from a search for a key among all rows of the user. PostgreSQL would plan
        # so for an empty table, and keep the plan.
        indexes = [
            models.Index(
                fields=("user_id", "created_at"), condition=Q(created_at__isnull=False), name="idempotency_user_age"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=("user_id", "key"), name="idempotency_key_once_a_user"),
            models.CheckConstraint(
                condition=~Q(key="") & Q(LessThanOrEqual(Length("key"), KEY_MAX_LENGTH)),
                name="idempotency_key_length",
            ),
        ]

    def __str__(self) -> str:
        return self.key
