"""The operators' view of tasks. Every write goes the way of the API, through ``TaskQuerySet``."""

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from tasks.models import Task, TaskQuerySet

admin.site.site_header = admin.site.site_title = "To-do tasks"
admin.site.index_title = "Operations"


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # has no __class_getitem__
    """Live tasks. Deleting one moves it to the trash, as the API's DELETE does."""

    list_display = ("title", "user_id", "completed", "created_at", "updated_at")
    list_filter = ("completed",)
    search_fields = ("title", "description")
    ordering = ("-created_at", "-id")
    list_per_page = 50
    fields = ("title", "description", "completed", "user_id", "id", "created_at", "updated_at", "version")
    readonly_fields = ("id", "created_at", "updated_at", "version")

    def get_queryset(self, request: HttpRequest) -> TaskQuerySet:
        return Task.objects.live()

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        """Whose a task is stands once it is made."""
        return (*self.readonly_fields, "user_id") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Task, form: "ModelForm[Task]", change: bool) -> None:  # noqa: FBT001
        if change:
            Task.objects.named(obj.pk).change(**{name: form.cleaned_data[name] for name in form.changed_data})
        else:
            obj.save()

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        Task.objects.named(obj.pk).live().move_to_trash()

    def delete_queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> None:  # type: ignore[override]
        queryset.order_by().move_to_trash()
