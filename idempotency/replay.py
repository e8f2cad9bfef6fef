"""Carry out a request with an ``Idempotency-Key`` once, and replay its response to repeated requests.

The response is stored in the same transaction as the write, so neither locks nor half-written rows are needed. On
PostgreSQL one statement writes one task and stores the response: docs/decisions/0007-idempotency.md.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from database.compiled_statements import CompiledStatement, python_value
from database.errors import retry_once_on_conflict
from database.row_security import rows_of
from idempotency.models import KEPT_FOR, KEY_MAX_LENGTH, KeptResponse
from idempotency.statements import Kept, keep, keeping, look_up, purge
from rest.problems.responses import respond
from rest.problems.types import Conflict, IdempotencyKeyReused, NotFound, PreconditionFailed

KEY = re.compile(f"[\x21-\x7e]{{1,{KEY_MAX_LENGTH}}}")

KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Operation = Callable[[], HttpResponse]


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
        one_statement: whether one ``fetch`` does every write of the operation.
    """

    def __init__(self, request: Request, user_id: str, key: str, *, one_statement: bool) -> None:
        self.request = request._request
        self.user_id = user_id
        self.key = key
        self.keeps_by_statement = one_statement and connection.vendor == "postgresql"
        self.is_kept = False
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
        in_transaction = settings.DB_ROW_SECURITY or not self.keeps_by_statement
        attempt = self._respond_in_transaction if in_transaction else self._respond
        try:
            return attempt(operation)
        except IntegrityError:
            # A concurrent request with this key was faster, and has already stored its response.
            return attempt(operation)

    @retry_once_on_conflict
    def _respond_in_transaction(self, operation: Operation) -> HttpResponse:
        with transaction.atomic(), rows_of(self.user_id):
            return self._respond(operation)

    def _respond(self, operation: Operation) -> HttpResponse:
        self.is_kept = False
        until = timezone.now() - KEPT_FOR
        found = [Kept(*row) for row in look_up.fetch(user_id=self.user_id, key=self.key, until=until)]
        for kept in found:
            if kept.key == self.key and not kept.has_expired(until):
                return self._replay(kept)
        if found:
            self._purge(found, until)
        response = self._carry_out(operation)
        if not self.is_kept:
            self._keep(response)
        return response

    def fetch(
        self, statement: CompiledStatement[Any], *parts: Any, status: int, headers: Mapping[str, str], **values: Any
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, each a JSON and a version; on PostgreSQL keep the response with it.

        Args:
            statement: the statement.
            parts: its positional arguments.
            status: the status of the response.
            headers: the headers of the response, without ``ETag``.
            values: the values of the statement.
        """
        if not self.keeps_by_statement:
            return statement.fetch(*parts, **values)
        kept = (self.user_id, self.key, self.fingerprint, status, timezone.now(), json.dumps(headers))
        rows = keeping(statement).fetch(*parts, **values, kept=kept)
        self.is_kept = bool(rows)
        return rows

    def _replay(self, kept: Kept) -> HttpResponse:
        if kept.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        headers = python_value(kept.headers, KeptResponse._meta.get_field("headers"))
        return HttpResponse(bytes(kept.body), status=kept.status, headers={**headers, "Idempotency-Replayed": "true"})

    def _purge(self, expired: Iterable[Kept], until: datetime) -> None:
        """Free the key of this request, and delete other expired responses."""
        if own := [kept.id for kept in expired if kept.key == self.key]:
            KeptResponse.objects.filter(id__in=own).delete()
        purge.fetch(user_id=self.user_id, until=until)

    def _keep(self, response: HttpResponse) -> None:
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        columns = {
            "key": self.key,
            "fingerprint": self.fingerprint,
            "status": response.status_code,
            "headers": json.dumps(headers),
            "body": response.content,
            "created_at": timezone.now(),
        }
        keep.fetch(user_id=self.user_id, columns=columns)

    def _carry_out(self, operation: Operation) -> HttpResponse:
        """Return a response, also if the task is missing, in conflict or at another version."""
        try:
            return operation()
        except (NotFound, Conflict, PreconditionFailed) as problem:
            return respond(self.request, problem)
