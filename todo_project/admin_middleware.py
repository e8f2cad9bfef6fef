"""The middlewares of the admin, which skip all other requests to save time."""

from collections.abc import Callable

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware


def for_admin(middleware: type) -> type:
    """Return a subclass of ``middleware`` that skips requests outside the admin."""

    def call(self: object, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(settings.ADMIN_PREFIX):
            response: HttpResponseBase = middleware.__call__(self, request)
            return response
        # Without this flag, CsrfViewMiddleware.process_view, which Django calls for every path, requires a token.
        request.csrf_processing_done = True  # type: ignore[attr-defined]
        return self.get_response(request)  # type: ignore[attr-defined,no-any-return]

    return type(f"Admin{middleware.__name__}", (middleware,), {"__call__": call, "__module__": __name__})


AdminSessionMiddleware = for_admin(SessionMiddleware)
AdminCommonMiddleware = for_admin(CommonMiddleware)
AdminCsrfViewMiddleware = for_admin(CsrfViewMiddleware)
AdminAuthenticationMiddleware = for_admin(AuthenticationMiddleware)
AdminMessageMiddleware = for_admin(MessageMiddleware)
AdminCSPMiddleware = for_admin(CSPMiddleware)
AdminAxesMiddleware = for_admin(AxesMiddleware)


def nul_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse NUL in the path or a cookie of the admin, because PostgreSQL refuses a statement with NUL.

    Forms, searches and filters refuse NUL in their own values, with a message.

    Raises:
        BadRequest: the path or a cookie contains NUL.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(settings.ADMIN_PREFIX) and any(
            "\0" in text for text in (request.path_info, *request.COOKIES.values())
        ):
            raise BadRequest("NUL")
        return get_response(request)

    return middleware
