"""The app of rate limits."""

from django.apps import AppConfig


class ThrottlingConfig(AppConfig):
    """The configuration of the app ``throttling``."""

    name = "throttling"
