from benchmarks.peers.django_settings import *  # noqa: F403

# The migrations of tasks create groups, and need the functions of changes.
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django_bolt", "changes", "tasks"]
ROOT_URLCONF = "benchmarks.peers.django_bolt.api"
BOLT_API = ["benchmarks.peers.django_bolt.api:api"]
