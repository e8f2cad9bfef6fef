from django.db import models
from uuid_utils.compat import uuid7


class Task(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.CharField(max_length=255, editable=False)
    title = models.CharField(max_length=200)
    description = models.TextField(max_length=2000, blank=True, default="")
    completed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    version = models.BigIntegerField(default=1, editable=False)

    class Meta:
        indexes = [models.Index("user_id", models.F("created_at").desc(), models.F("id").desc(), name="task_list")]

    def __str__(self) -> str:
        return self.title
