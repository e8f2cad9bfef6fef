"""The service as a WSGI application, which the server runs (``manage.py serve``)."""

import os
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.utils.http import parse_header_parameters

from todo_project.server.socket_activation import notify_ready

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")


class Request(WSGIRequest):
    """A request whose ``Content-Type`` may be malformed, or name a charset.

    Django fails at the one, outside of every middleware, and decodes the query by the other.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (ValueError, LookupError):
            self.content_type, self.content_params = "", {}


django_application = get_wsgi_application()
django_application.request_class = Request


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Django's application between two of WSGI's gaps.

    Django takes a request without ``Content-Length`` for one without a body, so that of a chunked request
    (RFC 9112, section 7.1) is read here, up to one byte more than is taken. And a response that is whole is handed
    over as a list, closed, so that its length is known and its database connection is back before its bytes travel.
    """
    if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        in_api = environ["PATH_INFO"].startswith(settings.API_PREFIX)
        limit = settings.API_MAX_BODY_BYTES if in_api else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = environ["wsgi.input"].read(limit + 1)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
    response = django_application(environ, start_response)
    if isinstance(response, HttpResponse):
        response.close()
        return [response.content]
    return response


notify_ready()
