"""The base of every endpoint: refusals in the contract's order, entity tags, and responses."""

from collections.abc import Container, Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.views import View
from rest_framework import status as http
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from rest import request_checks
from rest.entity_tags import entity_tag, parse_if_match, parse_if_none_match
from rest.problems.types import MethodNotAllowed
from rest.request_checks import HeaderReader

JSON = "application/json"

M = TypeVar("M", bound=Model)


@cache
def list_methods(methods: tuple[str, ...]) -> str:
    """Return ``Allow`` of an endpoint with these methods, in Django's order."""
    return ", ".join(name.upper() for name in View.http_method_names if name in {*methods, "options"})


class StrictViewSet(GenericViewSet[M]):
    """An endpoint that refuses an invalid header, body or parameter instead of ignoring it.

    Attributes:
        actions_with_body: the actions that read a body; other actions ignore a body.
        actions_with_parameters: the actions that take query parameters; other actions refuse parameters.
        max_body_bytes: the size of the largest body of an action, even if the action ignores bodies.
        body_form: the form of a body, in the words of a refusal.
        if_match: the versions that a write may change; ``None`` admits any.
        if_none_match: the versions that the client has.
    """

    format_kwarg = None
    actions_with_body: ClassVar[Container[str]] = ("create", "update", "partial_update", "bulk")
    actions_with_parameters: ClassVar[Container[str]] = ("list",)

    max_body_bytes: int = settings.API_MAX_BODY_BYTES
    body_form = "a JSON object"

    if_match: frozenset[int] | None
    if_none_match: Container[int]

    @property
    def user_id(self) -> str:
        """Return the caller's user id."""
        return str(self.request.user.pk)

    def get_parsers(self) -> list[BaseParser]:
        """Return the parsers of bodies; only PATCH takes a merge patch."""
        is_patch = getattr(self.request, "method", None) == "PATCH"
        return [parser() for parser in self.parser_classes if is_patch or parser.media_type == JSON]

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Return the headers of every response of the endpoint."""
        return {"Allow": list_methods(tuple(self.action_map or ()))}

    def perform_authentication(self, request: Request) -> None:
        """Authenticate the caller; ``request.user`` would first look for an earlier result."""
        request._authenticate()  # type: ignore[attr-defined]  # noqa: SLF001

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse an invalid request, in the order in which the contract answers."""
        # REST framework's request looks up each attribute of Django's request in four steps.
        sent: HttpRequest = request._request
        # Methods are case-sensitive (RFC 9110, section 9.1), but Django accepts `delete` for `DELETE`.
        if self.action is None or sent.META["REQUEST_METHOD"] != sent.method:
            raise MethodNotAllowed
        self.perform_authentication(request)
        self.check_permissions(request)
        self.check_throttles(request)
        request_checks.refuse_response_type(sent)
        request_checks.refuse_large_body(sent, self.max_body_bytes)
        headers = HeaderReader(sent)
        self.read_headers(headers)
        headers.refuse_faults()
        if self.action in self.actions_with_body:
            request_checks.refuse_media_type(request)
        self.check_content()

    def read_headers(self, headers: HeaderReader) -> None:
        """Read the headers that the endpoint honours."""
        headers.check_host()
        self.if_match = headers.read("If-Match", parse_if_match)
        self.if_none_match = headers.read("If-None-Match", parse_if_none_match) or ()

    def check_content(self) -> None:
        """Refuse a missing body, and parameters that the action does not take."""
        if self.action in self.actions_with_body:
            request_checks.refuse_empty_body(self.request._request, self.body_form)
        if self.action not in self.actions_with_parameters:
            request_checks.refuse_parameters(self.request._request)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Answer without a body, because every response has ``Allow``."""
        response = HttpResponse()
        del response.headers["Content-Type"]
        return response

    def respond(
        self, json: str, version: int, status: int = http.HTTP_200_OK, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Answer with one resource and its entity tag."""
        headers = {"ETag": entity_tag(version), **(headers or {})}
        return HttpResponse(json, content_type=JSON, status=status, headers=headers)

    def respond_unless_known(self, json: str, version: int) -> HttpResponse:
        """Answer with one resource, or with 304 if the client has this version."""
        if version in self.if_none_match:
            return HttpResponseNotModified(headers={"ETag": entity_tag(version)})
        return self.respond(json, version)
