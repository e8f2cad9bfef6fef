from benchmarks.peers.django_settings import *  # noqa: F403

INSTALLED_APPS = ["rest_framework", "benchmarks.peers.drf_plain"]
ROOT_URLCONF = "benchmarks.peers.drf_plain.urls"
WSGI_APPLICATION = "benchmarks.peers.drf_plain.wsgi.application"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
