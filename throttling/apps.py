"""Configure the app ``throttling``."""

from django.apps import AppConfig


class ThrottlingConfig(AppConfig):
    """The app that limits the rate of requests."""

    name = "throttling"
