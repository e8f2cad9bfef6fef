"""Log one line per request if ``ACCESS_LOG`` is on."""

import logging
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

logger = logging.getLogger("todo_project.access")


def access_log_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Log method, path and status of each request; log a streamed response when its stream begins."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        status = response.status_code
        logger.info("%s %s %s", request.method, request.path, status, extra={"status_code": status})
        return response

    return middleware
