"""Answer the probes of an orchestrator: whether the process lives, and whether it can serve requests."""

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from database.connections import lacks_migrations
from database.errors import is_unavailable
from rest.problems.responses import respond
from rest.problems.types import ServiceUnavailable


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 even without a database, because a restart would not repair an unavailable database."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database is available and has every migration, else 503."""
    try:
        migrated = not lacks_migrations()
    except Error as error:
        if not is_unavailable(error):
            raise
        return respond(request, error)
    if not migrated:
        return respond(request, ServiceUnavailable("The database lacks a migration"))
    return JsonResponse({"status": "ok"})
