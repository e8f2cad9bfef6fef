"""Refuse API requests over http, which a redirect would not protect."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from rest.middleware import is_for_api
from rest.problems.responses import respond
from rest.problems.types import PermissionDenied


def https_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer an API request over http with 403, and keep the method in redirects of pages.

    A client that follows a redirect sends its token over http each time, and many clients turn a POST into a GET.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.is_secure():
            return get_response(request)
        if is_for_api(request):
            return respond(request, PermissionDenied("Use https"))
        response = get_response(request)
        if response.status_code == HTTPStatus.MOVED_PERMANENTLY:  # only SecurityMiddleware answers so
            response.status_code = HTTPStatus.PERMANENT_REDIRECT
        return response

    return middleware
