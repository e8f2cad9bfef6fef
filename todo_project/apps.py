"""Configure the project's own app, and Django's admin app with the operators' site."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class TodoProjectConfig(AppConfig):
    """The app of the project: it registers the system checks and the problem types."""

    name = "todo_project"

    def ready(self) -> None:
        from rest.problems.responses import register_problems
        from todo_project import admin_sessions, checks  # noqa: F401

        register_problems()


class OperatorSiteConfig(admin.AdminConfig):
    """The admin app with ``OperatorSite`` as its site."""

    default = False  # TodoProjectConfig is the default app of this package
    default_site = "todo_project.admin_site.OperatorSite"
