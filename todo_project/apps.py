from django.apps import AppConfig
from django.contrib.admin import apps as admin


class TodoProjectConfig(AppConfig):
    name = "todo_project"

    def ready(self) -> None:
        from todo_project import checks  # noqa: F401
        from todo_project.problems import register_problems

        register_problems()


class OperatorSiteConfig(admin.AdminConfig):
    default = False  # of this package
    default_site = "todo_project.site.OperatorSite"
