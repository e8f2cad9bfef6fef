"""Restrict what browsers do with every response."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, ResponseHeaders
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

RESOURCE_POLICY = {"Cross-Origin-Resource-Policy": "same-origin"}

#: A response that is not a page needs nothing: neither scripts nor styles nor frames.
NO_CONTENT_POLICY = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

#: Headers as Django stores them: name and value by the name in lower case.
Headers = dict[str, tuple[str, str]]


def security_headers_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Add security headers to every response: Django's own and two more.

    ``Cross-Origin-Resource-Policy`` does not concern the requests of ``CORS_ALLOWED_ORIGINS``, which use CORS. The
    headers are made once, because Django would check and encode each constant for each response.
    """
    over_https = {**headers_of_django(), **ResponseHeaders(RESOURCE_POLICY)._store}  # noqa: SLF001
    over_http = {name: header for name, header in over_https.items() if name != "strict-transport-security"}
    no_content = ResponseHeaders(NO_CONTENT_POLICY)._store  # noqa: SLF001
    debug, strict = settings.DEBUG, "strict-transport-security" in over_https

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        headers = over_https if strict and request.is_secure() else over_http
        # Django's pages for developers have inline scripts and styles.
        policy = {} if debug and response.status_code in {404, 500} else no_content
        own: Headers = response.headers._store  # noqa: SLF001
        response.headers._store = {**own, **headers, **policy, **own}  # noqa: SLF001
        return response

    return middleware


def headers_of_django() -> Headers:
    """Return the headers that Django's middlewares add to the response of a request over https."""
    request, response = HttpRequest(), HttpResponse()
    request.META = dict([settings.SECURE_PROXY_SSL_HEADER or ("", "")])
    for middleware in (SecurityMiddleware, XFrameOptionsMiddleware):
        middleware(lambda _: response).process_response(request, response)
    headers: Headers = response.headers._store  # noqa: SLF001
    del headers["content-type"]
    return headers
