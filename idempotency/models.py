"""What requests with an ``Idempotency-Key`` came to, for a day. Knows neither HTTP nor Django REST framework."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone

KEY_MAX_LENGTH = 255
KEPT_FOR = timedelta(hours=24)


class KeptResponseQuerySet(models.QuerySet["KeptResponse"]):
    def expired(self) -> Self:
        return self.filter(created_at__lte=timezone.now() - KEPT_FOR)

    def delete_in_batches(self, size: int) -> Iterator[int]:
        """Delete what is in the set, oldest first, and yield how many rows each statement deleted."""
        rows = self.order_by("created_at", "id")[:size]
        while ids := list(rows.values_list("id", flat=True)):
            yield self.filter(id__in=ids).delete()[0]


class KeptResponse(models.Model):
    """The response to the request that a key stands for. A row is written whole or not at all, and never changed."""

    user_id = models.TextField(help_text="Whose key it is: two callers may use the same one.")
    key = models.CharField(max_length=KEY_MAX_LENGTH, help_text="The Idempotency-Key.")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the request that the key stands for.")
    status = models.PositiveSmallIntegerField(help_text="The response's status.")
    headers = models.JSONField(help_text="Those of its headers that are its own: Content-Type, ETag, Location.")
    body = models.BinaryField(help_text="Its body, byte for byte.")
    created_at = models.DateTimeField(
        default=timezone.now, db_index=True, help_text="When it was kept; a day later the key is free again."
    )

    objects = KeptResponseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("user_id", "key"), name="idempotency_key_once_a_user"),
            models.CheckConstraint(
                condition=~Q(key="") & Q(LessThanOrEqual(Length("key"), KEY_MAX_LENGTH)),
                name="idempotency_key_length",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def expired(self) -> bool:
        return self.created_at <= timezone.now() - KEPT_FOR
