"""Let an endpoint honour ``Idempotency-Key``."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpResponse
from rest_framework import status as http
from rest_framework.permissions import SAFE_METHODS

from database.compiled_statements import CompiledStatement
from idempotency.replay import KeyedRequest, parse_key
from rest.request_checks import HeaderReader
from rest.viewsets import JSON, StrictViewSet

M = TypeVar("M", bound=Model)


class IdempotentViewSet(StrictViewSet[M]):
    """An endpoint whose writes can be sent again safely: each goes through ``idempotently``."""

    idempotency_key: str | None = None
    keyed_request: KeyedRequest | None = None

    def read_headers(self, headers: HeaderReader) -> None:
        super().read_headers(headers)
        if self.request.method not in SAFE_METHODS:
            self.idempotency_key = headers.read("Idempotency-Key", parse_key)

    def check_content(self) -> None:
        """Postpone the check if the request has a key, because 422 comes before faults of the content."""
        if self.idempotency_key is None:
            super().check_content()

    def idempotently(self, operation: Callable[[], HttpResponse], *, one_statement: bool = False) -> HttpResponse:
        """Run ``operation``, or replay the response to the first request with the same key.

        Args:
            operation: makes the response.
            one_statement: whether ``operation`` writes by ``respond_with`` alone.
        """
        if self.idempotency_key is None:
            return operation()

        def check_and_operate() -> HttpResponse:
            super(IdempotentViewSet, self).check_content()
            return operation()

        self.keyed_request = KeyedRequest(self.request, self.user_id, self.idempotency_key, one_statement=one_statement)
        return self.keyed_request.respond_once(check_and_operate)

    def respond_with(
        self,
        statement: CompiledStatement[Any],
        *parts: Any,
        status: int = http.HTTP_200_OK,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> list[HttpResponse]:
        """Run a statement whose rows are a resource's JSON and version, and return the response of each row."""
        values["user_id"] = self.user_id
        if self.keyed_request is None:
            rows = statement.fetch(*parts, **values)
        else:
            kept_headers = {"Content-Type": JSON, **(headers or {})}
            rows = self.keyed_request.fetch(statement, *parts, status=status, headers=kept_headers, **values)
        return [self.respond(json, version, status, headers) for json, version in rows]
