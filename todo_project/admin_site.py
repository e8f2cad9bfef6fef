"""The admin site: its front page, its log-in form, and the client address that counts failed log-ins."""

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

from todo_project import dashboard


class LoginForm(AdminAuthenticationForm):
    """Django's log-in form, which also limits the user name's length and resets the count of failures."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        username = self.fields["username"]
        # Django limits the length in the browser only, and axes cannot store a longer name.
        username.validators.append(MaxLengthValidator(username.max_length))  # type: ignore[attr-defined]

    def confirm_login_allowed(self, user: User) -> None:
        """Reset the failures of this user name only; axes would reset all names of the same address."""
        super().confirm_login_allowed(user)
        reset(username=user.get_username())


class OperatorSite(AdminSite):
    """Django's admin, with statistics of the tasks on its front page."""

    site_header = site_title = "To-do tasks"
    index_title = "Operations"
    login_form = LoginForm
    enable_nav_sidebar = False  # the lists need the width

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        statistics = dashboard.build_context() if request.user.has_perm("tasks.view_task") else {}
        return super().index(request, {**statistics, **(extra_context or {})})


def client_address(request: HttpRequest) -> str:
    """Return the client's address: with ``HTTPS``, the last address in ``X-Forwarded-For`` if it is valid."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.HTTPS else ""
    client = forwarded.rpartition(",")[2].strip()
    with suppress(ValueError):
        return str(ip_address(client))
    with suppress(ValueError):  # some proxies add the port
        return str(ip_address(urlsplit(f"//{client}").hostname or ""))
    return str(request.META.get("REMOTE_ADDR", ""))
