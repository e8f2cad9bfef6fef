"""The admin site: its front page, its log-in form, and its answer to a form without a valid token."""

import logging
from typing import Any, cast

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views import csrf

from observability.security_events import log_event
from todo_project import dashboard


class LoginForm(AdminAuthenticationForm):
    """Django's log-in form, which also limits the user name's length, and logs a refused account."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        username = self.fields["username"]
        # Django limits the length in the browser only, and axes cannot store a longer name.
        username.validators.append(MaxLengthValidator(username.max_length))  # type: ignore[attr-defined]

    def confirm_login_allowed(self, user: User) -> None:
        """Refuse an account without staff status, whose password was right, so that Django sends no signal."""
        try:
            super().confirm_login_allowed(user)
        except ValidationError:
            request = cast("HttpRequest", self.request)
            log_event(logging.WARNING, "sign_in_refused", "Account without staff status", request, user.username)
            raise


class OperatorSite(AdminSite):
    """Django's admin, with statistics of the tasks on its front page."""

    site_header = site_title = "To-do tasks"
    index_title = "Operations"
    login_form = LoginForm
    enable_nav_sidebar = False  # the lists need the width

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the apps in the order of Django's admin, but the tasks first."""
        return sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "tasks")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        statistics = dashboard.build_context() if request.user.has_perm("tasks.view_task") else {}
        return super().index(request, {**statistics, **(extra_context or {})})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Log a form without a valid token, and answer with 403."""
    log_event(logging.WARNING, "csrf_refused", reason, request, request.user.get_username() or None)
    return csrf.csrf_failure(request, reason)
