"""Serve the OpenAPI document and the pages that show it."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from csp.utils import build_policy
from django.http import HttpResponse
from django.views import View
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import identity.openapi  # noqa: F401  # drf-spectacular finds the extension once it is imported


class PageNegotiation(DefaultContentNegotiation):
    """What a page can be shown as; its first form to whoever accepts none, as RFC 9110, section 12.4.1, allows."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        try:
            return super().select_renderer(request, renderers, format_suffix)  # type: ignore[no-any-return]
        except NotAcceptable:
            renderer = next(iter(renderers))
            return renderer, renderer.media_type


class Page(APIView):
    """Mixin: open to everybody, and no part of the document."""

    schema = None
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    content_negotiation_class = PageNegotiation
    options = View.options  # type: ignore[assignment]  # answers Allow, and no more

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.get_host()
        super().initial(request, *args, **kwargs)


class SchemaView(Page, SpectacularAPIView):
    """This document, as YAML or JSON."""

    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        headers = {"Content-Disposition": f'inline; filename="openapi.{renderer.format}"'}
        body = document(type(renderer))  # type: ignore[arg-type]  # a class is hashable
        return HttpResponse(body, content_type=renderer.media_type, headers=headers)


@cache
def document(renderer: type[BaseRenderer]) -> str | bytes:
    """The document in one of its forms, which takes a tenth of a second to make, and is the same for everybody."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return renderer().render(schema, renderer_context={})


class SwaggerUIView(Page, SpectacularSwaggerSplitView):
    """The document as a page to try it on."""

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """With the policy of the admin's pages; the icons stand in the style sheet."""
        response = super().finalize_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = build_policy(update={"img-src": "data:"})
        return response


class RedocView(Page, SpectacularRedocView):
    """The document as a page to read."""
