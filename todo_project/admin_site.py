"""The operators' site: what the admin is beside the models that are registered in it."""

from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from axes.utils import reset
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.template.response import TemplateResponse

from todo_project.dashboard import figures


class LoginForm(AdminAuthenticationForm):
    """Django tells browsers alone how long a user name may be; a longer one has no place in the list of attempts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        username = self.fields["username"]
        username.validators.append(MaxLengthValidator(username.max_length))  # type: ignore[attr-defined]

    def confirm_login_allowed(self, user: User) -> None:
        """Whoever gets in starts anew; axes itself would forget the failures of other names from the same address."""
        super().confirm_login_allowed(user)
        reset(username=user.get_username())


class OperatorSite(AdminSite):
    """Django's admin, with how the service is doing on its front page."""

    site_header = site_title = "To-do tasks"
    index_title = "Operations"
    login_form = LoginForm
    enable_nav_sidebar = False  # the lists need its place, and there are few

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        shown = {"figures": figures()} if request.user.has_perm("tasks.view_task") else {}
        return super().index(request, {**shown, **(extra_context or {})})


def client_address(request: HttpRequest) -> str:
    """Whose log-in it is: with HTTPS on, the address from which the proxy in front was asked, if it is one."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.HTTPS else ""
    asked_from = forwarded.rpartition(",")[2].strip()
    with suppress(ValueError):
        return str(ip_address(asked_from))
    with suppress(ValueError):  # some proxies add the port
        return str(ip_address(urlsplit(f"//{asked_from}").hostname or ""))
    return str(request.META.get("REMOTE_ADDR", ""))
