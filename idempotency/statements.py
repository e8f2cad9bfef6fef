"""The statements on kept responses, compiled once per process (``database/compiled_statements.py``)."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, TextField
from django.db.models.functions import Cast

from database.compiled_statements import SQL, CompiledStatement, P, Shape, parameters_of, python_value
from idempotency.models import KeptResponse

# Django's compiler makes no INSERT ... SELECT. The entity tag is that of ``rest/entity_tags.py``.
WRITE_AND_KEEP = """
WITH written (json, version) AS ({write}), kept AS (
    INSERT INTO "idempotency_keptresponse" (user_id, key, fingerprint, status, created_at, headers, body)
    SELECT %s, %s, %s, %s, %s, %s::jsonb || JSONB_BUILD_OBJECT('ETag', '"' || version || '"'), CONVERT_TO(json, 'UTF8')
    FROM written
) SELECT json, version FROM written
"""


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


class LockingStatement(CompiledStatement[P]):
    """A statement with ``FOR UPDATE``, which Django compiles within a transaction only.

    Each run needs no transaction around it, because a statement is one itself.
    """

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        with transaction.atomic():
            return super()._compile(args, shape)


class KeepingStatement(CompiledStatement[P]):
    """A statement on one resource that also keeps the response, on PostgreSQL.

    So a write and its response need neither a transaction around them nor further round trips.

    The value ``kept`` is last. It has the values of ``WRITE_AND_KEEP``: the user, the key, the fingerprint, the status,
    the time, and the headers without ``ETag`` as JSON. Without a row of the statement, no response is kept.
    """

    def __init__(self, statement: CompiledStatement[P]) -> None:
        super().__init__(statement.build, statement.columns)

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        write, params = super()._compile(args, shape[:-1])
        return WRITE_AND_KEEP.format(write=write), (*params, *parameters_of(shape)["kept"])


#: Return the statement that also keeps the response.
keeping = cache(KeepingStatement[Any])


def _id() -> Mapping[str, Any]:
    return {"kept_id": F("id")}


#: The response with a key, and an expired response of the same user. The driver would parse JSON in binary form.
look_up = LockingStatement(
    KeptResponse.objects.with_key,
    lambda: {f"kept_{name}": F(name) for name in Kept._fields} | {"kept_headers": Cast("headers", TextField())},
)

keep = CompiledStatement(KeptResponse.objects.insert_query, _id)

#: Deletes expired responses of one user, so that they do not wait for ``purge_idempotency_keys``.
purge = LockingStatement(KeptResponse.objects.purge_query, _id)
