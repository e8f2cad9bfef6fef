from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7

from benchmarks.peers import DUE_FORMS


class Task(models.Model):
    class Priority(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.CharField(max_length=255, editable=False)
    title = models.CharField(max_length=200)
    description = models.TextField(max_length=2000, blank=True, default="")
    completed = models.BooleanField(default=False)
    due = models.CharField(max_length=65, null=True, blank=True, validators=[RegexValidator(DUE_FORMS)])  # noqa: DJ001
    priority = models.CharField(max_length=6, choices=Priority, null=True, blank=True)  # noqa: DJ001
    labels = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    completed_at = models.DateTimeField(null=True, editable=False)
    version = models.BigIntegerField(default=1, editable=False)

    class Meta:
        indexes = [models.Index("user_id", models.F("created_at").desc(), models.F("id").desc(), name="task_list")]

    def __str__(self) -> str:
        return self.title

    def set_completed(self, *, completed: bool) -> None:
        if completed != (self.completed_at is not None):
            self.completed_at = timezone.now() if completed else None
        self.completed = completed
