"""The admin's lists of log entries, users and groups, with their own filters only."""

import logging
from datetime import datetime

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from observability.security_events import log_event
from tasks.admin.history import sentence_of
from tasks.admin.lists import FilteredAdmin
from todo_project.admin_sessions import end_sessions


@admin.register(LogEntry)
class LogEntryAdmin(FilteredAdmin):
    """A read-only list of log entries, newest first; an action on many tasks has one entry."""

    list_display = ("time", "user", "about", "message")
    list_display_links = None
    list_select_related = ("user", "content_type")
    list_per_page = 50
    show_full_result_count = False
    sortable_by = ()

    @admin.display
    def time(self, entry: LogEntry) -> datetime:
        """Return the time of the action."""
        return entry.action_time

    @admin.display(description="object")
    def about(self, entry: LogEntry) -> str:
        """Return the title or the number of the tasks, or the name of another object."""
        return entry.object_repr

    @admin.display(description="change")
    def message(self, entry: LogEntry) -> str:
        """Return the entry's sentence, or its kind if it has none; the history of a task has the values."""
        return sentence_of(entry) or entry.get_action_flag_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LogEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LogEntry | None = None) -> bool:
        return False


admin.site.unregister((User, Group))


@admin.register(User)
class OperatorAdmin(FilteredAdmin, UserAdmin):  # type: ignore[type-arg]  # has no __class_getitem__
    """The accounts of operators."""

    allowed_lookups = frozenset(
        {"is_staff__exact", "is_superuser__exact", "is_active__exact", "groups__id__exact", "groups__isnull"}
    )
    actions = ("end_sessions",)
    empty_value_display = "none"
    readonly_fields = ("last_login", "date_joined")  # Django sets both

    @admin.action(permissions=["change"], description="End sessions")
    def end_sessions(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """End all sessions of the users, except the session of this request."""
        ended = end_sessions([user.pk for user in users], kept_session=request.session.session_key)
        for user in users:
            self.log_change(request, user, "Ended all sessions.")
            log_event(logging.WARNING, "sessions_ended", f"Ended the sessions of {user}", request, str(request.user))
        self.message_user(request, f"{ended} session{'' if ended == 1 else 's'} ended", messages.SUCCESS)


@admin.register(Group)
class OperatorGroupAdmin(FilteredAdmin, GroupAdmin):
    """The groups of operators."""
