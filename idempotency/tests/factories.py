"""Factories of kept responses."""

import factory
from django.utils import timezone

from idempotency.models import KEPT_FOR, KeptResponse


class KeptResponseFactory(factory.django.DjangoModelFactory):
    """A response to ``default`` that was just kept."""

    class Meta:
        model = KeptResponse

    class Params:
        expired = factory.Trait(created_at=factory.LazyFunction(lambda: timezone.now() - KEPT_FOR))

    user_id = "default"
    key = factory.Sequence("key-{}".format)
    fingerprint = "0" * 64
    status = 200
    headers = {"Content-Type": "application/json"}
    body = b"{}"
