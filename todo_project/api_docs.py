"""Serve the OpenAPI document and the pages that show it."""

from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import Any

from csp.utils import build_policy
from django.http import HttpResponse
from django.views import View
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import identity.openapi  # noqa: F401  # drf-spectacular finds an extension only after its import


class PageNegotiation(DefaultContentNegotiation):
    """Content negotiation that falls back to the first renderer, as RFC 9110, section 12.4.1, allows."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        try:
            return super().select_renderer(request, renderers, format_suffix)  # type: ignore[no-any-return]
        except NotAcceptable:
            renderer = next(iter(renderers))
            return renderer, renderer.media_type


class PublicPage(APIView):
    """A mixin for pages that need no token, have no rate limit and are not part of the OpenAPI document."""

    schema = None
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    content_negotiation_class = PageNegotiation
    options = View.options  # type: ignore[assignment]  # answers with Allow and without a body

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.get_host()
        super().initial(request, *args, **kwargs)


class SchemaView(PublicPage, SpectacularAPIView):
    """The OpenAPI document, as YAML or JSON."""

    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        headers = {"Content-Disposition": f'inline; filename="openapi.{renderer.format}"'}
        with RENDERING:
            body = render_document(type(renderer))  # type: ignore[arg-type]  # a class is hashable
        return HttpResponse(body, content_type=renderer.media_type, headers=headers)


#: drf-spectacular loads its extensions without a lock, so that concurrent first renderings fail.
RENDERING = Lock()


@cache
def render_document(renderer: type[BaseRenderer]) -> str | bytes:
    """Render the OpenAPI document once per process, because rendering takes a tenth of a second."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return renderer().render(schema, renderer_context={})


class SwaggerUIView(PublicPage, SpectacularSwaggerView):
    """Swagger UI, a page on which people try the API."""

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """Add the admin's Content-Security-Policy, and allow the icons in Swagger UI's style sheet."""
        response = super().finalize_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = build_policy(update={"img-src": "data:"})
        # drf-spectacular shares the page with the windows of an OAuth login, which this service has not.
        del response.headers["Cross-Origin-Opener-Policy"]
        return response


class RedocView(PublicPage, SpectacularRedocView):
    """Redoc, a page on which people read the OpenAPI document."""

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """Add the admin's Content-Security-Policy, and allow the styles and the worker of Redoc."""
        response = super().finalize_response(*args, **kwargs)
        own = {"style-src": "'unsafe-inline'", "worker-src": "blob:", "img-src": "data:"}
        response.headers["Content-Security-Policy"] = build_policy(update=own)
        return response
