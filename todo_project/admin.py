"""The admin's list of log entries: the actions of all operators."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest


@admin.register(LogEntry)
class LogEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # has no __class_getitem__
    """A read-only list of log entries, newest first; an action on many tasks has one entry."""

    list_display = ("action_time", "user", "object_repr", "message")
    list_display_links = None
    list_select_related = ("user", "content_type")
    list_per_page = 50
    show_full_result_count = False
    sortable_by = ()

    @admin.display(description="change")
    def message(self, entry: LogEntry) -> str:
        """Return the entry's message, or its kind if it has no message."""
        return entry.get_change_message() or entry.get_action_flag_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LogEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LogEntry | None = None) -> bool:
        return False
