"""Refuse a large body in the admin before Django parses it."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from rest.request_checks import is_body_larger


def admin_body_limit_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse a body over 1 MiB, because Django would write an uploaded file of any size to the disk."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        in_admin = request.path_info.startswith(settings.ADMIN_PREFIX)
        if in_admin and is_body_larger(request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE):
            return HttpResponse(render_to_string("413.html"), status=413)
        return get_response(request)

    return middleware
