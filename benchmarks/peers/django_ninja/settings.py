from benchmarks.peers.django_settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "tasks"]  # whose groups need the others
ROOT_URLCONF = "benchmarks.peers.django_ninja.api"
WSGI_APPLICATION = "benchmarks.peers.django_ninja.wsgi.application"
