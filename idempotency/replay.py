"""``Idempotency-Key``: what a request came to is kept with what it wrote, and given again to whoever sends it again.

Why it needs no lock and no half-written row: docs/decisions/0007-idempotency.md.
"""

import json
import re
from collections.abc import Callable
from hashlib import sha256

from django.db import IntegrityError, transaction
from django.http import HttpResponse
from rest_framework.request import Request

from database.errors import retry_once_on_conflict
from database.row_security import rows_of
from idempotency.models import KEY_MAX_LENGTH, KeptResponse
from rest.problems.responses import respond
from rest.problems.types import Conflict, IdempotencyKeyReused, NotFound, PreconditionFailed

KEY_RULE = f"1 to {KEY_MAX_LENGTH} visible ASCII characters"
KEY = re.compile(f"[\x21-\x7e]{{1,{KEY_MAX_LENGTH}}}")

KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Operation = Callable[[], HttpResponse]


def is_key(text: str) -> bool:
    return KEY.fullmatch(text) is not None


class KeyedRequest:
    """A request with an ``Idempotency-Key``, made before REST framework reads the body.

    Args:
        user_id: the caller, whose keys are nobody else's.
    """

    def __init__(self, request: Request, user_id: str, key: str) -> None:
        self.request = request._request
        self.user_id = user_id
        self.key = key
        self.fingerprint = self._fingerprint()

    def _fingerprint(self) -> str:
        """What makes two requests the same one: the method, the path as sent, the query, ``If-Match`` and the body."""
        meta = self.request.META
        head = (self.request.method, meta["PATH_INFO"], meta["QUERY_STRING"], meta.get("HTTP_IF_MATCH"))
        return sha256(json.dumps(head).encode() + b"\n" + self.request.body).hexdigest()

    def once(self, operation: Operation) -> HttpResponse:
        """The response of ``operation``, carried out now or when the request first came.

        Raises:
            IdempotencyKeyReused: the key stands for another request.
            Exception: whatever ``operation`` raises but for what it came to; nothing is written, and the key is free.
        """
        try:
            return self._once(operation)
        except IntegrityError:
            # Another request with the key was faster, and what it came to is there by now.
            return self._once(operation)

    @retry_once_on_conflict
    def _once(self, operation: Operation) -> HttpResponse:
        with transaction.atomic(), rows_of(self.user_id):
            if kept := self._kept():
                return self._again(kept)
            response = self._outcome(operation)
            KeptResponse.objects.create(
                user_id=self.user_id,
                key=self.key,
                fingerprint=self.fingerprint,
                status=response.status_code,
                headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
                body=response.content,
            )
            return response

    def _kept(self) -> KeptResponse | None:
        kept = KeptResponse.objects.filter(user_id=self.user_id, key=self.key).first()
        if kept and kept.expired:
            kept.delete()
            return None
        return kept

    def _again(self, kept: KeptResponse) -> HttpResponse:
        if kept.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        headers = {**kept.headers, "Idempotency-Replayed": "true"}
        return HttpResponse(bytes(kept.body), status=kept.status, headers=headers)

    def _outcome(self, operation: Operation) -> HttpResponse:
        """A response, also of an operation that found no task, a conflict, or another version."""
        try:
            return operation()
        except (NotFound, Conflict, PreconditionFailed) as problem:
            return respond(self.request, problem)
