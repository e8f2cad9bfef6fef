"""The operators' site: what the admin is beside the models that are registered in it."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse

from tasks.figures import figures


class OperatorSite(AdminSite):
    """Django's admin, with how the service is doing on its front page."""

    site_header = site_title = "To-do tasks"
    index_title = "Operations"
    enable_nav_sidebar = False  # the lists need its place, and there are few

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        shown = {"figures": figures()} if request.user.has_perm("tasks.view_task") else {}
        return super().index(request, {**shown, **(extra_context or {})})


def client_address(request: HttpRequest) -> str:
    """Whose log-in it is: with HTTPS on, the address from which the proxy in front was asked."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.HTTPS else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
