"""The WSGI application that the server runs (``manage.py serve``)."""

import os
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIRequest, get_str_from_wsgi
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries
from django.http import HttpResponse, parse_cookie
from django.utils.functional import cached_property
from django.utils.http import parse_header_parameters

from observability.metrics_files import reserve_metrics_files
from rest.header_limits import MAX_CONTENT_TYPE_LENGTH, MAX_COOKIE_ESCAPES
from todo_project.server.socket_activation import notify_ready

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")


class TolerantRequest(WSGIRequest):
    """A request that accepts a malformed ``Content-Type``, and ignores the charset of a valid header.

    Without this, Django would raise an error before any middleware runs, or decode the query with the charset. A
    ``Content-Type`` or ``Cookie`` that takes long to parse is ignored.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        content_type = meta.get("CONTENT_TYPE", "")
        self.content_type, self.content_params = "", {}
        if len(content_type) <= MAX_CONTENT_TYPE_LENGTH:
            with suppress(ValueError, LookupError):
                self.content_type, self.content_params = parse_header_parameters(content_type)

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]  # noqa: N802
        if self.environ.get("HTTP_COOKIE", "").count("\\") > MAX_COOKIE_ESCAPES:
            return {}
        return parse_cookie(get_str_from_wsgi(self.environ, "HTTP_COOKIE", ""))

    def read_chunked_body(self) -> None:
        """Read a chunked body (RFC 9112, section 7.1), because Django ignores one without ``Content-Length``.

        One byte more than the limit is enough, because the service then refuses the body as too large. The
        caller holds a slot of its client, so that the slow bodies of one client cannot occupy every thread.
        """
        if "HTTP_TRANSFER_ENCODING" not in self.environ or not self.environ.get("wsgi.input_terminated"):
            return
        body = self.environ["wsgi.input"].read(max_body_bytes(self.path_info) + 1)
        self._stream = BytesIO(body)
        self.META["CONTENT_LENGTH"] = str(len(body))


def max_body_bytes(path: str) -> int:
    """Return the limit of the bodies at a path."""
    if path.removesuffix("/") == settings.API_BULK_PATH:
        return settings.API_MAX_BULK_BODY_BYTES
    in_api = path.startswith(settings.API_PREFIX)
    return settings.API_MAX_BODY_BYTES if in_api else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # else another server runs this application
    reserve_metrics_files()

django_application = get_wsgi_application()

from throttling.concurrency import CLOSES_RESPONSES  # noqa: E402  # imports models, so after Django's setup

django_application.request_class = TolerantRequest

# The end of each response closes old connections, and only DEBUG records queries.
for receiver in [close_old_connections] if settings.DEBUG else [close_old_connections, reset_queries]:
    request_started.disconnect(receiver)
# To close the cache does nothing, because it is in memory. Each request sets its URLconf.
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Run Django, and return a complete response as a list, so that the server knows its length.

    A complete response is closed first, so that its database connection is free while a slow client receives it.
    """
    environ[CLOSES_RESPONSES] = True
    response = django_application(environ, start_response)
    if isinstance(response, HttpResponse):
        response.close()
        return [response.content]
    return response


if settings.METRICS_PORT:
    from todo_project.worker_metrics import Sampler

    Sampler().start()

notify_ready()
