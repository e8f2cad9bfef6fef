"""The project: settings, URLs, server, health and the admin site, around the packages below it."""

__version__ = "0.1.0"
