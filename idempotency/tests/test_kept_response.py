"""The constraints of kept responses."""

import pytest
from django.db import DataError, IntegrityError, transaction

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
