"""Restrict what browsers do with every response."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

RESOURCE_POLICY = ("Cross-Origin-Resource-Policy", "same-origin")

#: A response that is not a page needs nothing: neither scripts nor styles nor frames.
NO_CONTENT_POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)


def security_headers_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Add a Content-Security-Policy to responses without one, and refuse embedding by other sites.

    ``Cross-Origin-Resource-Policy`` does not concern the requests of ``CORS_ALLOWED_ORIGINS``, which use CORS.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        # Django would encode and check both constants for each response, which takes three times as long.
        headers = response.headers._store  # noqa: SLF001
        headers["cross-origin-resource-policy"] = RESOURCE_POLICY
        # Django's pages for developers have inline scripts and styles.
        if not (settings.DEBUG and response.status_code in {404, 500}):
            headers.setdefault("content-security-policy", NO_CONTENT_POLICY)
        return response

    return middleware
