"""Carry out a request with an ``Idempotency-Key`` once, and replay its response to repeated requests.

The response is stored in the same transaction as the write, so neither locks nor half-written rows are needed:
docs/decisions/0007-idempotency.md.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import F, TextField
from django.db.models.functions import Cast
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from database.compiled_statements import CompiledStatement, python_value
from database.errors import retry_once_on_conflict
from database.row_security import rows_of
from idempotency.models import KEPT_FOR, KEY_MAX_LENGTH, KeptResponse
from rest.problems.responses import respond
from rest.problems.types import Conflict, IdempotencyKeyReused, NotFound, PreconditionFailed

KEY = re.compile(f"[\x21-\x7e]{{1,{KEY_MAX_LENGTH}}}")

KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Operation = Callable[[], HttpResponse]


class Kept(NamedTuple):
    """A row of ``look_up``."""

    id: int
    key: str
    fingerprint: str
    status: int
    headers: Any
    body: Any
    created_at: Any

    def has_expired(self, until: datetime) -> bool:
        """Tell whether the key is free again."""
        created_at: datetime = python_value(self.created_at, KeptResponse._meta.get_field("created_at"))
        return created_at <= until


def _id() -> Mapping[str, Any]:
    return {"kept_id": F("id")}


#: The response with a key, and an expired response of the same user. The driver would parse JSON in binary form.
look_up = CompiledStatement(
    KeptResponse.objects.with_key,
    lambda: {f"kept_{name}": F(name) for name in Kept._fields} | {"kept_headers": Cast("headers", TextField())},
)

keep = CompiledStatement(KeptResponse.objects.insert_query, _id)

#: Deletes expired responses of one user, so that they do not wait for ``purge_idempotency_keys``.
purge = CompiledStatement(KeptResponse.objects.purge_query, _id)


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
            until = timezone.now() - KEPT_FOR
            found = [Kept(*row) for row in look_up.fetch(user_id=self.user_id, key=self.key, until=until)]
            for kept in found:
                if kept.key == self.key and not kept.has_expired(until):
                    return self._replay(kept)
            response = self._carry_out(operation)
            if found:
                self._purge(found, until)
            self._keep(response)
            return response

    def _replay(self, kept: Kept) -> HttpResponse:
        if kept.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        headers = python_value(kept.headers, KeptResponse._meta.get_field("headers"))
        return HttpResponse(bytes(kept.body), status=kept.status, headers={**headers, "Idempotency-Replayed": "true"})

    def _purge(self, expired: Iterable[Kept], until: datetime) -> None:
        """Free the key of this request, and delete other expired responses."""
        KeptResponse.objects.filter(id__in=[kept.id for kept in expired if kept.key == self.key]).delete()
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
