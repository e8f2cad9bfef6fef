from benchmarks.peers.django_settings import *  # noqa: F403

INSTALLED_APPS = ["tasks"]
ROOT_URLCONF = "benchmarks.peers.django_ninja.api"
WSGI_APPLICATION = "benchmarks.peers.django_ninja.wsgi.application"
