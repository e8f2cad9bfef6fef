"""Which tasks an operator means: those that are ticked, or all that the list finds."""

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.http import HttpRequest

from tasks.admin.changelist import parse_uuid
from tasks.models import Task


def selects_all(request: HttpRequest) -> bool:
    return request.POST.get("select_across") == "1"


def selected(request: HttpRequest) -> list[str]:
    """The ids that were sent, in any number of fields, each once; what is no id is none."""
    sent = ",".join(request.POST.getlist(ACTION_CHECKBOX_NAME)).split(",")
    return list(dict.fromkeys(str(found) for text in sent if (found := parse_uuid(text))))


def log_entry(request: HttpRequest, label: str, flag: int) -> LogEntry:
    """Who did what, and to which tasks; not yet stored."""
    everything = selects_all(request)
    ids = [] if everything else selected(request)
    which = f"All of {request.get_full_path()}" if everything else f"Ids: {', '.join(ids)}"
    return LogEntry(
        user_id=request.user.pk,  # type: ignore[misc]  # nobody comes here without an account
        content_type=get_content_type_for_model(Task),
        object_id=ids[0] if len(ids) == 1 else None,  # whose History shows it
        action_flag=flag,
        change_message=f"{label}. {which}",
    )


def tasks_in_words(number: int) -> str:
    return f"{number:,} task{'s' if number != 1 else ''}"
