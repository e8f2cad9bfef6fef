"""Carry out a request with an ``Idempotency-Key`` once, and replay its response to repeated requests.

The response is stored in the same transaction as the write, so neither locks nor half-written rows are needed:
docs/decisions/0007-idempotency.md.
"""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from typing import cast

from django.db import IntegrityError, transaction
from django.db.models import Expression, F
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from database.compiled_statements import CompiledStatement
from database.errors import retry_once_on_conflict
from database.row_security import rows_of
from idempotency.models import KEPT_FOR, KEY_MAX_LENGTH, KeptResponse
from rest.problems.responses import respond
from rest.problems.types import Conflict, IdempotencyKeyReused, NotFound, PreconditionFailed

KEY = re.compile(f"[\x21-\x7e]{{1,{KEY_MAX_LENGTH}}}")

KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Operation = Callable[[], HttpResponse]

#: Deletes expired responses of one user, so that they do not wait for ``purge_idempotency_keys``.
purge = CompiledStatement(KeptResponse.objects.purge_query, lambda: cast("dict[str, Expression]", {"id": F("id")}))


def parse_key(value: str | None) -> str | None:
    """Return the key of an ``Idempotency-Key`` header.

    Raises:
        ValueError: the header is malformed.
    """
    if value is not None and not KEY.fullmatch(value):
        raise ValueError(f"must be 1 to {KEY_MAX_LENGTH} visible ASCII characters")
    return value


class KeyedRequest:
    """A request with an ``Idempotency-Key``.

    Create the object before REST framework parses the body, because the fingerprint needs the body's bytes.

    Args:
        request: the request.
        user_id: the caller; two callers may use the same key.
        key: the key.
    """

    def __init__(self, request: Request, user_id: str, key: str) -> None:
        self.request = request._request
        self.user_id = user_id
        self.key = key
        self.fingerprint = self._fingerprint()

    def _fingerprint(self) -> str:
        """Hash what identifies a request: method, path, query, ``If-Match``, ``If-None-Match`` and body."""
        meta = self.request.META
        head = [self.request.method, meta["PATH_INFO"], meta["QUERY_STRING"], meta.get("HTTP_IF_MATCH")]
        if "HTTP_IF_NONE_MATCH" in meta:  # else the hash is that of older versions, which kept responses for a day
            head.append(meta["HTTP_IF_NONE_MATCH"])
        return sha256(json.dumps(head).encode() + b"\n" + self.request.body).hexdigest()

    def respond_once(self, operation: Operation) -> HttpResponse:
        """Run ``operation`` and keep its response, or return the kept response.

        Raises:
            IdempotencyKeyReused: the key belongs to another request.
            Exception: any other error of ``operation``; nothing is written, and the key stays free.
        """
        try:
            return self._respond_once(operation)
        except IntegrityError:
            # A concurrent request with this key was faster, and has already stored its response.
            return self._respond_once(operation)

    @retry_once_on_conflict
    def _respond_once(self, operation: Operation) -> HttpResponse:
        with transaction.atomic(), rows_of(self.user_id):
            if kept := self._find_kept():
                return self._replay(kept)
            response = self._carry_out(operation)
            purge.fetch(user_id=self.user_id, until=timezone.now() - KEPT_FOR)
            KeptResponse.objects.create(
                user_id=self.user_id,
                key=self.key,
                fingerprint=self.fingerprint,
                status=response.status_code,
                headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
                body=response.content,
            )
            return response

    def _find_kept(self) -> KeptResponse | None:
        """Find and lock the kept response, so that a replay waits for a synchronous standby as the write did."""
        rows = KeptResponse.objects.select_for_update()
        kept = rows.filter(user_id=self.user_id, key=self.key).first()
        if kept and kept.expired:
            kept.delete()
            return None
        return kept

    def _replay(self, kept: KeptResponse) -> HttpResponse:
        if kept.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        headers = {**kept.headers, "Idempotency-Replayed": "true"}
        return HttpResponse(bytes(kept.body), status=kept.status, headers=headers)

    def _carry_out(self, operation: Operation) -> HttpResponse:
        """Return a response, also if the task is missing, in conflict or at another version."""
        try:
            return operation()
        except (NotFound, Conflict, PreconditionFailed) as problem:
            return respond(self.request, problem)
