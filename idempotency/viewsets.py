"""Let an endpoint honour ``Idempotency-Key``."""

from collections.abc import Callable
from typing import TypeVar

from django.db.models import Model
from django.http import HttpResponse
from rest_framework.permissions import SAFE_METHODS

from idempotency.replay import KeyedRequest, parse_key
from rest.request_checks import HeaderReader
from rest.viewsets import StrictViewSet

M = TypeVar("M", bound=Model)


class IdempotentViewSet(StrictViewSet[M]):
    """An endpoint whose writes can be sent again safely: each goes through ``idempotently``."""

    idempotency_key: str | None = None

    def read_headers(self, headers: HeaderReader) -> None:
        super().read_headers(headers)
        if self.request.method not in SAFE_METHODS:
            self.idempotency_key = headers.read("Idempotency-Key", parse_key)

    def check_content(self) -> None:
        """Postpone the check if the request has a key, because 422 comes before faults of the content."""
        if self.idempotency_key is None:
            super().check_content()

    def idempotently(self, operation: Callable[[], HttpResponse]) -> HttpResponse:
        """Run ``operation``, or replay the response to the first request with the same key."""
        if self.idempotency_key is None:
            return operation()

        def check_and_operate() -> HttpResponse:
            super(IdempotentViewSet, self).check_content()
            return operation()

        return KeyedRequest(self.request, self.user_id, self.idempotency_key).respond_once(check_and_operate)
