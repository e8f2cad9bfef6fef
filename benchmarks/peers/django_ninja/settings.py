from benchmarks.peers.django_settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "tasks"]  # because tasks creates groups
ROOT_URLCONF = "benchmarks.peers.django_ninja.api"
WSGI_APPLICATION = "benchmarks.peers.django_ninja.wsgi.application"
