"""The operators' view of tasks. Every write goes the way of the API, through ``TaskQuerySet``."""

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from tasks.forms import TaskChangeForm, TaskForm
from tasks.models import Task, TaskQuerySet

admin.site.site_header = admin.site.site_title = "To-do tasks"
admin.site.index_title = "Operations"


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # has no __class_getitem__
    """Live tasks. Deleting one moves it to the trash, as the API's DELETE does."""

    list_display = ("title", "user_id", "completed", "created_at", "updated_at")
    list_filter = ("completed",)
    search_fields = ("title__mentions", "description__mentions")
    ordering = ("-created_at", "-id")
    list_per_page = 50
    form = TaskChangeForm
    fields = ("title", "description", "completed", "user_id")
    #: Of a stored task; whose it is stands once it is made.
    readonly_fields = ("user_id", "id", "created_at", "updated_at", "version")

    def get_queryset(self, request: HttpRequest) -> TaskQuerySet:
        """Live tasks; a form that is sent back finds its task in the trash too, so that it can say so."""
        return Task.objects.all() if "seen_version" in request.POST else Task.objects.live()

    def get_form(self, request: HttpRequest, obj: Task | None = None, change: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002
        return super().get_form(request, obj, change, **(options if obj else {**options, "form": TaskForm}))

    def get_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        if obj is None:
            return self.fields
        seen = ("seen_version",) if self.has_change_permission(request, obj) else ()
        return (*self.fields, "id", "created_at", "updated_at", "version", *seen)

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj else ()

    def save_model(self, request: HttpRequest, obj: Task, form: "ModelForm[Task]", change: bool) -> None:  # noqa: FBT001
        if not change:
            return obj.save()
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        [_] = Task.objects.live().named(obj.pk, {form.cleaned_data["seen_version"]}).change(**values)
        return None

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        Task.objects.live().named(obj.pk).move_to_trash()

    def delete_queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> None:  # type: ignore[override]
        queryset.live().order_by().move_to_trash()
