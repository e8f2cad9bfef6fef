"""Every address of the service. ``todo_project/problems.py`` answers for those that lead nowhere."""

from django.contrib import admin
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from todo_project import health, problems
from todo_project.schema import RedocView, SchemaView, SwaggerUIView

# drf-problems looks its documentation up by these two names.
problem_urls = ([path("<slug:code>", problems.documentation, name="error-documentation")], "drf_problems")

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs")),
    path("api/", include("tasks.urls")),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SwaggerUIView.as_view()),
    path("api/redoc", RedocView.as_view()),
    re_path(r"^api(?:/|$)", problems.nowhere),
    path("problems/", include(problem_urls)),
    path("favicon.ico", lambda _: redirect(static("todo_project/mark.svg"))),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]

handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.not_found
handler500 = problems.server_error
