"""Map the paths of the service to views.

``rest/problems/responses.py`` answers unknown paths and failures.
"""

from django.conf import settings
from django.contrib import admin
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from rest.problems import responses
from todo_project import health
from todo_project.api_docs import RedocView, SchemaView, SwaggerUIView

# drf-problems resolves the address of its documentation by these two names.
problem_urls = ([path("<slug:code>", responses.documentation, name="error-documentation")], "drf_problems")

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs")),
    path("", include("tasks.api.urls")),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SwaggerUIView.as_view()),
    path("api/redoc", RedocView.as_view()),
    re_path(r"^api(?:/|$)", responses.unknown_path),
    path("problems/", include(problem_urls)),
    path("favicon.ico", lambda _: redirect(static("todo_project/mark.svg"))),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    *([path("admin", RedirectView.as_view(url="/admin/")), path("admin/", admin.site.urls)] if settings.ADMIN else []),
]

handler400 = responses.bad_request
handler403 = responses.permission_denied
handler404 = responses.not_found
handler500 = responses.server_error
