"""The probes of an orchestrator: is the process alive, and can it serve."""

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from database.connections import lacks_migrations
from database.errors import is_unavailable
from rest.problems.responses import respond
from rest.problems.types import ServiceUnavailable


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process lives; asks no database, so that one that is away restarts nobody."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has every migration, else 503."""
    try:
        migrated = not lacks_migrations()
    except Error as error:
        if not is_unavailable(error):
            raise
        return respond(request, error)
    if not migrated:
        return respond(request, ServiceUnavailable("The database lacks a migration"))
    return JsonResponse({"status": "ok"})
