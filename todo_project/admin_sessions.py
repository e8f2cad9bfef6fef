"""End sessions of the admin: unused ones, old ones, and all sessions of a user."""

import time
from collections.abc import Callable, Collection
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

#: Seconds between two writes of a session's last use, because a write for each page would be wasteful.
WRITE_INTERVAL = 5 * 60


@receiver(user_logged_in)
def start_session(request: HttpRequest, **_: Any) -> None:
    """Store the time of the log-in as the start and as the last use of the new session."""
    request.session["started_at"] = request.session["used_at"] = int(time.time())


def session_lifetime_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """End a session that is too old or was unused for too long, or else write the time of its use."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(settings.ADMIN_PREFIX) and SESSION_KEY in request.session:
            check_lifetime(request.session, int(time.time()))
        return get_response(request)

    return middleware


def check_lifetime(session: Any, now: int) -> None:
    """Delete an expired session; otherwise write the last use if ``WRITE_INTERVAL`` is over."""
    ends_at = session.get("started_at", 0) + settings.SESSION_COOKIE_AGE
    used_at = session.get("used_at", 0)
    if now >= min(ends_at, used_at + settings.ADMIN_SESSION_IDLE):
        session.flush()
    elif now >= used_at + WRITE_INTERVAL:
        session["used_at"] = now
        session.set_expiry(ends_at - now)  # without this, each write would prolong the session


def end_sessions(user_ids: Collection[int], kept_session: str | None = None) -> int:
    """Delete the sessions of these users except ``kept_session``, and return how many there were."""
    wanted = {str(user_id) for user_id in user_ids}
    live = Session.objects.filter(expire_date__gt=timezone.now()).exclude(pk=kept_session)
    # Each row is decoded, because a session's user is part of the encoded data.
    found = [session.pk for session in live.iterator() if session.get_decoded().get(SESSION_KEY) in wanted]
    Session.objects.filter(pk__in=found).delete()
    return len(found)
