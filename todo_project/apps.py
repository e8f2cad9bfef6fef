from django.apps import AppConfig
from django.contrib.admin import apps as admin


class TodoProjectConfig(AppConfig):
    name = "todo_project"

    def ready(self) -> None:
        from rest.problems.responses import register_problems
        from todo_project import checks  # noqa: F401

        register_problems()


class OperatorSiteConfig(admin.AdminConfig):
    default = False  # of this package
    default_site = "todo_project.admin_site.OperatorSite"
