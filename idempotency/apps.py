"""The app of idempotency keys."""

from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """The configuration of the app ``idempotency``."""

    name = "idempotency"
