from benchmarks.peers.django_settings import *  # noqa: F403

# The migrations of tasks create groups, and need the functions of changes.
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "changes", "tasks"]
ROOT_URLCONF = "benchmarks.peers.django_ninja.api"
WSGI_APPLICATION = "benchmarks.peers.django_ninja.wsgi.application"
