"""What the database itself keeps to."""

import pytest
from django.db import DataError, IntegrityError, transaction

from idempotency.models import KEY_MAX_LENGTH, KeptResponse
from idempotency.tests.factories import KeptResponseFactory

pytestmark = pytest.mark.django_db


def test_a_user_has_a_key_once():
    KeptResponseFactory(key="one")
    KeptResponseFactory(key="one", user_id="somebody-else")
    with pytest.raises(IntegrityError), transaction.atomic():
        KeptResponseFactory(key="one")
    assert KeptResponse.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * (KEY_MAX_LENGTH + 1)])
def test_a_key_has_its_length(key):
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        KeptResponseFactory(key=key)
    KeptResponseFactory(key="x" * KEY_MAX_LENGTH)


def test_a_body_is_kept_byte_for_byte():
    body = bytes(range(256))
    KeptResponseFactory(body=body)
    assert bytes(KeptResponse.objects.get().body) == body


def test_it_goes_by_its_key():
    assert str(KeptResponseFactory(key="one")) == "one"
