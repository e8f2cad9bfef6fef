"""The constraints of kept responses."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DataError, IntegrityError, connection, transaction

from idempotency.models import KEY_MAX_LENGTH, KeptResponse
from idempotency.tests.factories import KeptResponseFactory

pytestmark = pytest.mark.django_db


def test_key_is_unique_per_user():
    KeptResponseFactory(key="one")
    KeptResponseFactory(key="one", user_id="somebody-else")
    with pytest.raises(IntegrityError), transaction.atomic():
        KeptResponseFactory(key="one")
    assert KeptResponse.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * (KEY_MAX_LENGTH + 1)], ids=["empty", "too-long"])
def test_key_of_other_length_is_refused(key):
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        KeptResponseFactory(key=key)
    KeptResponseFactory(key="x" * KEY_MAX_LENGTH)


def test_body_is_stored_byte_for_byte():
    body = bytes(range(256))
    KeptResponseFactory(body=body)
    assert bytes(KeptResponse.objects.get().body) == body


def test_kept_response_as_text_is_its_key():
    assert str(KeptResponseFactory(key="one")) == "one"


@pytest.mark.django_db(transaction=True)
def test_migrations_replace_the_index_of_a_user():
    def indexes_of_user():
        with connection.cursor() as cursor:
            names = connection.introspection.get_constraints(cursor, KeptResponse._meta.db_table)
        return [name for name in names if name.startswith("idempotency_user")]

    try:
        call_command("migrate", "idempotency", "0004_moving_users", verbosity=0, stdout=StringIO())
        assert indexes_of_user() == ["idempotency_user_created"]
    finally:
        call_command("migrate", verbosity=0, stdout=StringIO())
    assert indexes_of_user() == ["idempotency_user_age"]
