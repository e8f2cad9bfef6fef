"""Refuse requests of other origins' pages in single-user mode, where no token names the caller.

A browser sends the requests of any web page to this machine too. Without this module, the service would carry them out.
The rule is that of Go's ``http.CrossOriginProtection``, but reads are refused too, because their duration tells a page
about the tasks.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from rest.problems.responses import respond
from rest.problems.types import PermissionDenied

DETAIL = "A page of another origin sent this request. CORS_ALLOWED_ORIGINS must name the page's origin"

#: The origin of a page: its scheme, host and port (RFC 6454, section 7).
ORIGIN = re.compile(r"(https?)://((?:[^][/?#@:,\s]+|\[[0-9a-f:.]+\])(?::[0-9]+)?)")

DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def same_origin_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse requests of other origins' pages below ``USER_DATA_PREFIX``, before the path is resolved."""
    user_data_prefix: str = settings.USER_DATA_PREFIX

    def middleware(request: HttpRequest) -> HttpResponseBase:
        has_data = f"{request.path_info}/".startswith(user_data_prefix)
        if has_data and is_of_other_origin(request.META):
            return respond(request, PermissionDenied(DETAIL))
        return get_response(request)

    return middleware


def is_of_other_origin(meta: Mapping[str, Any]) -> bool:
    """Return whether a page of another origin sent a request, except those in ``CORS_ALLOWED_ORIGINS``.

    ``Sec-Fetch-Site`` decides (https://w3c.github.io/webappsec-fetch-metadata/). A browser omits that header over http,
    except to this machine. Then ``Origin`` decides. A client that is no browser sends neither.
    """
    origin, site = meta.get("HTTP_ORIGIN"), meta.get("HTTP_SEC_FETCH_SITE")
    if (origin is None and site is None) or origin in settings.CORS_ALLOWED_ORIGINS:
        return False
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and not has_host(origin, meta.get("HTTP_HOST", ""))


def has_host(origin: str, host: str) -> bool:
    """Return whether an ``Origin`` has the host and port of a ``Host``.

    The scheme may differ behind a proxy.
    """
    parts = ORIGIN.fullmatch(origin.lower())
    if parts is None:
        return False
    scheme, host_of_origin = parts.groups()
    port = DEFAULT_PORTS[scheme]
    return host_of_origin.removesuffix(port) == host.lower().removesuffix(port)
