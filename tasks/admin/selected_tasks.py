"""The selection of an action: the checked tasks, or every task that the list finds."""

from uuid import UUID

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.http import HttpRequest

from tasks.models import Task


def selects_all(request: HttpRequest) -> bool:
    """Return whether the operator selected every task that the list finds."""
    return request.POST.get("select_across") == "1"


def selected_ids(request: HttpRequest) -> list[str]:
    """Return the ids that were sent in one or more fields, without duplicates and without malformed ids."""
    sent = ",".join(request.POST.getlist(ACTION_CHECKBOX_NAME)).split(",")
    return list(dict.fromkeys(str(id_) for text in sent if (id_ := parse_uuid(text))))


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID in ``text``, in any case and with or without dashes; ``None`` if there is none."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def build_log_entry(request: HttpRequest, label: str, flag: int) -> LogEntry:
    """Return a log entry of an action on the selection; the caller saves it."""
    ids = [] if selects_all(request) else selected_ids(request)
    description = f"All of {request.get_full_path()}" if selects_all(request) else f"Ids: {', '.join(ids)}"
    return LogEntry(
        user_id=request.user.pk,  # type: ignore[misc]  # only logged-in users get here
        content_type=get_content_type_for_model(Task),
        object_id=ids[0] if len(ids) == 1 else None,  # so that the entry is in the history of that task
        action_flag=flag,
        change_message=f"{label}. {description}",
    )
