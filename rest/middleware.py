"""Refuse a request head that is too large, and apply the rules for every path under ``/api/``."""

from collections.abc import Callable
from http import HTTPStatus

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils.cache import patch_vary_headers

from rest.header_limits import is_head_too_large, replace_long_media_types
from rest.problems import responses
from rest.problems.types import HeaderFieldsTooLarge

API_PREFIX: str = settings.API_PREFIX
USER_DATA_PREFIX: str = settings.USER_DATA_PREFIX

#: The headers of a response, as Django stores them: Django would encode and check each value for each response.
VARY = ("Vary", "Accept, Authorization")
CACHE_CONTROL = ("Cache-Control", "private, no-cache")
#: A proxy that compresses a response weakens its ETag, and If-Match then fails forever.
CACHE_CONTROL_OF_TAGGED = ("Cache-Control", "private, no-cache, no-transform")


def is_for_api(request: HttpRequest) -> bool:
    """Return whether the path is under ``/api/``."""
    return f"{request.path_info}/".startswith(API_PREFIX)


def api_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Accept a trailing slash, answer every error with a problem, and forbid shared caches."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not is_for_api(request):
            return get_response(request)
        request.path_info = request.path_info.removesuffix("/")
        response = get_response(request)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response["Content-Type"] != responses.CONTENT_TYPE:
            # Without this, Django would send an HTML page if DEBUG is on.
            response = responses.respond(request, responses.problem_of_status(response.status_code))
        headers = response.headers._store  # noqa: SLF001
        headers["cache-control"] = CACHE_CONTROL_OF_TAGGED if "etag" in headers else CACHE_CONTROL
        if headers.setdefault("vary", VARY) is not VARY:
            patch_vary_headers(response, ["Accept", "Authorization"])
        return response

    return middleware


def header_limit_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse a request head that is too large, before anything else parses a header.

    The refusal has the CORS headers itself, because ``CorsMiddleware`` runs later and would accept a long preflight.
    """
    cors = CorsMiddleware(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if is_head_too_large(request.META):
            refusal = responses.respond(request, HeaderFieldsTooLarge())
            return cors.add_response_headers(request, refusal) if settings.CORS_ALLOWED_ORIGINS else refusal
        replace_long_media_types(request.META)
        return get_response(request)

    return middleware


def user_data_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Call the view of a request for a user's data, so that it skips the middlewares of pages."""
    urlconf: str = settings.USER_DATA_URLCONF

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not f"{request.path_info}/".startswith(USER_DATA_PREFIX):
            return get_response(request)
        request.resolver_match = match = resolve(request.path_info, urlconf)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response

    return middleware
