"""Read all settings from the environment and from ``.env``.

``docs/settings.md`` explains each variable. A missing or wrong value stops the start with a sentence that says what to
set. The environment takes precedence over ``.env``. Any value can come from a file:
``SECRET_KEY_FILE=/run/secrets/key``.

https://docs.djangoproject.com/en/5.2/ref/settings/
"""

import os
import re
import sys
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured
from dotenv.parser import parse_stream
from environs import EnvError, FileAwareEnv
from environs import validate as must

from database.url import PostgreSQLClient, django_database
from tasks.due import time_zone_names
from throttling.quotas import parse_quota
from todo_project import __version__

BASE_DIR = Path(__file__).resolve().parent.parent

VERSION = __version__

# The server imports wsgi.py before it reads the settings. Only requests have deadlines; a command may take longer.
SERVING = "todo_project.wsgi" in sys.modules


class Environment(FileAwareEnv):
    """The environment, with an error of one sentence for a wrong value. An empty value counts as unset.

    Raises:
        ImproperlyConfigured: a file cannot be read, a line of it sets nothing, or a value breaks its rule.
    """

    def read_lines(self, file: Path) -> None:
        """Read lines of the form ``NAME=value``, where ``$`` has no meaning, because a secret may contain it."""
        try:
            bindings = [*parse_stream(StringIO(file.read_text(encoding="utf-8-sig")))]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ImproperlyConfigured(f"Cannot read the settings in {file}: {reason}") from error
        for line in bindings:
            if line.error or (line.key and line.value is None) or "\0" in line.original.string:
                raise ImproperlyConfigured(f"Line {line.original.line} of {file} is no setting: write NAME=value")
        self._environ |= {line.key: line.value for line in bindings if line.key and line.value is not None}

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number in ASCII digits.

        Python's ``int`` also reads ``1_0`` and the digits of other scripts.
        """
        text = self.str(name, str(default))
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ImproperlyConfigured(f"Set {name} to a whole number from {least} to {most}")
        return int(text)

    def seconds(self, name: str, default: float, least: float, most: float) -> float:
        """Return a decimal number in ASCII digits."""
        text = self.str(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not least <= float(text) <= most:
            raise ImproperlyConfigured(f"Set {name} to a number of seconds from {least} to {most}")
        return float(text)

    def switch(self, name: str, *, default: bool) -> bool:
        """Return whether a switch is on."""
        try:
            return self.bool(name, default)
        except EnvError as error:
            raise ImproperlyConfigured(f"Set {name} to on or off") from error

    def texts(self, name: str, default: list[str], form: str, advice: str) -> list[str]:
        """Return the items of a list. Each item must match the regular expression ``form``."""
        items = [item.strip() for item in self.str(name, ",".join(default)).split(",")]
        if items == [""]:
            return []
        if not all(re.fullmatch(form, item, re.ASCII) for item in items):
            raise ImproperlyConfigured(f"Set {name} to {advice}; a comma separates two of them")
        return items

    def _get_value(self, env_key: str, default: Any) -> Any:
        """Return a value without surrounding blanks, or ``default`` if the value is empty.

        An empty file is refused, because the operator meant a value.
        """
        value = self._read_value(env_key, default)
        if not isinstance(value, str):
            return value
        if re.search("[\udc80-\udcff]", value):  # bytes of the environment that Python could not decode
            raise ImproperlyConfigured(f"Set {env_key} to UTF-8 text")
        if value.strip():
            return value.strip()
        if self._read_value(f"{env_key}_FILE", ""):
            raise ImproperlyConfigured(f"Set {env_key}_FILE to a file that is not empty")
        return (self._environ.get(env_key) or "").strip() or default

    def _read_value(self, env_key: str, default: Any) -> Any:
        try:
            return super()._get_value(env_key, default)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ImproperlyConfigured(f"Cannot read the file of {env_key}_FILE: {reason}") from error
        except ValueError as error:
            raise ImproperlyConfigured(f"{error}") from error


env = Environment(strip_whitespace=True)
env_file = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if "ENV_FILE" in os.environ and (not env_file.exists() or env_file.is_dir()):
    raise ImproperlyConfigured("Set ENV_FILE to a file that exists, or unset ENV_FILE to read .env")
env.read_lines(env_file if env_file.exists() else Path(os.devnull))

DEBUG = env.switch("DEBUG", default=False)

SECRET_KEY = env.str("SECRET_KEY", "insecure-key-for-development" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "Set SECRET_KEY (or SECRET_KEY_FILE) to a random text of 50 characters or more, such as this prints: "
        'python -c "import secrets; print(secrets.token_urlsafe(50))"'
    )

AUTH_MODE = env.str("AUTH_MODE", "single-user" if DEBUG else "")
# A worker imports the module of its mode only, because a service without tokens needs no PyJWT.
AUTHENTICATION = {
    "single-user": "identity.single_user.SingleUserAuthentication",
    "jwt": "identity.tokens.JWTAuthentication",
}
if AUTH_MODE not in AUTHENTICATION:
    raise ImproperlyConfigured(
        "Set AUTH_MODE=jwt for many users with tokens, or AUTH_MODE=single-user for one user “default” without tokens"
    )

# AUTH_MODE=single-user, on an address that others can reach.
API_TOKEN = env.str("API_TOKEN", "")
if API_TOKEN and not re.fullmatch("[!-~]{32,1024}", API_TOKEN):
    raise ImproperlyConfigured(
        "Set API_TOKEN (or API_TOKEN_FILE) to a random text of 32 to 1024 visible ASCII characters without blanks, such"
        ' as this prints: python -c "import secrets; print(secrets.token_urlsafe(32))"'
    )

# AUTH_MODE=jwt: docs/authentication.md
JWT_JWKS_URL = env.str("JWT_JWKS_URL", "")
JWT_ISSUER = env.str("JWT_ISSUER", "")
JWT_AUDIENCE = env.str("JWT_AUDIENCE", "")
ALGORITHMS = [*(f"{kind}{size}" for kind in ("ES", "RS", "PS") for size in (256, 384, 512)), "EdDSA"]
JWT_ALGORITHMS: list[str] = env.list(
    "JWT_ALGORITHMS",
    ["EdDSA", "ES256", "RS256"],
    subcast=str.strip,
    validate=must.ContainsOnly(ALGORITHMS),
)
JWT_LEEWAY = env.integer("JWT_LEEWAY", 30, 0, 300)
JWT_MAX_LIFETIME = env.integer("JWT_MAX_LIFETIME", 60 * 60, 60, 366 * 24 * 60 * 60)
JWT_JWKS_LIFESPAN = env.integer("JWT_JWKS_LIFESPAN", 5 * 60, 10, 24 * 60 * 60)
JWT_JWKS_GRACE = env.integer("JWT_JWKS_GRACE", 24 * 60 * 60, JWT_JWKS_LIFESPAN, 7 * 24 * 60 * 60)
# The service sends this header to the identity provider.
USER_AGENT = f"todo/{VERSION}"
if AUTH_MODE == "jwt":
    to_loopback = r"https?://(127\.0\.0\.1|\[::1\]|localhost)"
    if not re.fullmatch(rf"(https://[\w.-]+|{to_loopback})(:\d{{1,5}})?/\S*", JWT_JWKS_URL, re.ASCII):
        raise ImproperlyConfigured(
            "Set JWT_JWKS_URL to the URL of the identity provider's keys, such as "
            "https://auth.example.org/api/auth/jwks; http is for 127.0.0.1, ::1 and localhost only"
        )
    if not JWT_ISSUER:
        raise ImproperlyConfigured("Set JWT_ISSUER to the “iss” of the identity provider's tokens")
    if not JWT_AUDIENCE:
        raise ImproperlyConfigured("Set JWT_AUDIENCE to the “aud” of the tokens for this service")


# By scope, because reads and writes have separate limits. Without a limit nothing is counted.
RATES = {"read": env.str("THROTTLE_READ", ""), "write": env.str("THROTTLE_WRITE", "")}
THROTTLES = {scope: parse_quota(rate) for scope, rate in RATES.items() if rate}
THROTTLE_PROXIES = env.integer("THROTTLE_PROXIES", 0, 0, 10)

ADDRESS = "[A-Za-z0-9.:_%-]+"
HOST = env.str("HOST", "127.0.0.1")
if not re.fullmatch(ADDRESS, HOST):
    raise ImproperlyConfigured(
        "Set HOST to an address, such as 127.0.0.1 for this machine or 0.0.0.0 for every interface"
    )
PORT = env.integer("PORT", 8000, 1, 65535)
WORKERS = env.integer("WORKERS", max(2, os.cpu_count() or 1), 1, 256)
THREADS = env.integer("THREADS", 4, 1, 256)
MAX_CONCURRENT_PER_USER = env.integer("MAX_CONCURRENT_PER_USER", max(1, THREADS // 2), 1, THREADS)
# Per worker: requests that wait for one of THREADS, and threads for probes, pages and refusals.
WAITING_REQUESTS = 128
SPARE_THREADS = 8
READY_CACHE = env.seconds("READY_CACHE", 1, 0, 3600)

# Prometheus reads the metrics here; 0 means no metrics: docs/operations.md
METRICS_PORT = env.integer("METRICS_PORT", 0, 0, 65535)
METRICS_HOST = env.str("METRICS_HOST", "127.0.0.1")
if not re.fullmatch(ADDRESS, METRICS_HOST):
    raise ImproperlyConfigured("Set METRICS_HOST to an address, such as 127.0.0.1 for this machine")

# The version, and the commit or the build of the image, as semantic versioning writes both.
BUILD = env.str("BUILD", "")
if BUILD and not re.fullmatch(r"[0-9A-Za-z.-]{1,64}", BUILD):
    raise ImproperlyConfigured("Set BUILD to up to 64 letters, digits, dots and hyphens, such as the commit's hash")
BUILD_VERSION = f"{VERSION}+{BUILD}" if BUILD else VERSION

ALLOWED_HOSTS = env.texts(
    "ALLOWED_HOSTS",
    ["localhost", "127.0.0.1", "[::1]"],
    r"\*|\.?[\w.-]+|\[[0-9a-fA-F:.]+\]",
    "host names without scheme and port, such as todo.example.org",
)
# As a browser sends it: in lower case, and without the scheme's default port.
ORIGIN = r"(?!http:.*:80$|https:.*:443$)https?://{}([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?"
ORIGINS = "origins in lower case and without a default port, such as https://todo.example.org"
CSRF_TRUSTED_ORIGINS = env.texts("CSRF_TRUSTED_ORIGINS", [], ORIGIN.format(r"(\*\.)?"), ORIGINS)
CORS_ALLOWED_ORIGINS = env.texts("CORS_ALLOWED_ORIGINS", [], ORIGIN.format(""), ORIGINS)

# Safe only behind a proxy that sets X-Forwarded-Proto itself, because clients can send the header too.
HTTPS = env.switch("HTTPS", default=False)
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Secure-sessionid"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Secure-csrftoken"

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

INSTALLED_APPS = [
    "todo_project.apps.OperatorSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "corsheaders",
    "csp",
    "rest_framework",
    "drf_problems",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "todo_project",
    "commands",
    "changes",
    "idempotency",
    "tasks",
    "throttling",
]

API_PREFIX = "/api/"
USER_DATA_PREFIX = "/api/tasks/"
USER_DATA_URLCONF = "tasks.api.urls"
API_MAX_BODY_BYTES = 64 * 1024
API_MAX_BULK_BODY_BYTES = 512 * 1024
API_BULK_PATH = "/api/tasks/bulk"
# The limit of the admin, files included: todo_project/admin_body_limit.py.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
ADMIN_PREFIX = "/admin/"

ADMIN = env.switch("ADMIN", default=True)
ADMIN_MIDDLEWARE = [
    "todo_project.admin_middleware.AdminCSPMiddleware",
    "todo_project.admin_body_limit.admin_body_limit_middleware",
    "todo_project.admin_middleware.nul_middleware",
    "todo_project.admin_middleware.AdminSessionMiddleware",
    "todo_project.admin_sessions.session_lifetime_middleware",
    "todo_project.admin_middleware.AdminCommonMiddleware",
    "todo_project.admin_middleware.AdminCsrfViewMiddleware",
    "todo_project.admin_middleware.AdminAuthenticationMiddleware",
    "todo_project.admin_middleware.AdminMessageMiddleware",
    "todo_project.admin_middleware.AdminAxesMiddleware",
]

ACCESS_LOG = env.switch("ACCESS_LOG", default=False)
ACCESS_LOG_USER = env.str("ACCESS_LOG_USER", "hashed", validate=must.OneOf(["hashed", "plain", "none"]))

# Without a receiver nothing imports OpenTelemetry.
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    if not re.fullmatch(
        r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?", OTEL_EXPORTER_OTLP_ENDPOINT, re.ASCII
    ):
        raise ImproperlyConfigured(
            "Set OTEL_EXPORTER_OTLP_ENDPOINT to the URL of a receiver of OTLP over HTTP, such as http://127.0.0.1:4318"
        )
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ImproperlyConfigured("Install requirements/otel.txt, or unset OTEL_EXPORTER_OTLP_ENDPOINT")
OTEL_EXPORTER_OTLP_HEADERS = env.texts(
    "OTEL_EXPORTER_OTLP_HEADERS", [], r"[\w.-]+=[!-~]*", "headers in the form name=value, with %20 for a blank"
)
OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", "todo")

MIDDLEWARE = [
    *(["observability.metrics.metrics_middleware"] if METRICS_PORT else []),
    "observability.request_id.request_id_middleware",
    *(["observability.tracing.tracing_middleware"] if OTEL_EXPORTER_OTLP_ENDPOINT else []),
    *(["observability.access_log.access_log_middleware"] if ACCESS_LOG else []),
    "todo_project.security_headers.security_headers_middleware",
    "rest.middleware.api_middleware",
    "rest.middleware.header_limit_middleware",
    *(["rest.https.https_middleware"] if HTTPS else []),
    *(["identity.same_origin.same_origin_middleware"] if AUTH_MODE == "single-user" else []),
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    *(["throttling.throttles.rate_limit_middleware"] if THROTTLES else []),
    "throttling.concurrency.concurrency_middleware",
    "rest.middleware.user_data_middleware",
    # Only pages, static files and probes reach the following middlewares.
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    *(ADMIN_MIDDLEWARE if ADMIN else []),
]

# Allow only this server's own files and no inline code, because the admin's pages need nothing else.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
SESSION_COOKIE_PATH = ADMIN_PREFIX
SESSION_COOKIE_AGE = 12 * 60 * 60
ADMIN_SESSION_IDLE = env.integer("ADMIN_SESSION_IDLE", 8 * 60 * 60, 10 * 60, SESSION_COOKIE_AGE)
CSRF_COOKIE_PATH = ADMIN_PREFIX
CSRF_FAILURE_VIEW = "todo_project.admin_site.csrf_failure"
LOGIN_REDIRECT_URL = ADMIN_PREFIX

# Failed log-ins are counted in the database, so that all workers share the limits: todo_project/sign_in.py.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "todo_project.sign_in.SignInHandler"
AXES_LOCKOUT_CALLABLE = "todo_project.sign_in.locked_page"
AXES_CLIENT_IP_CALLABLE = "observability.security_events.client_address"
# Without this, an attacker who keeps trying would lock the user out forever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

CORS_ALLOW_HEADERS = [*default_headers, "if-match", "if-none-match", "idempotency-key", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    *("ETag", "Location", "Link", "Retry-After", "X-Request-ID", "Idempotency-Replayed"),
    *("WWW-Authenticate", "RateLimit", "RateLimit-Policy"),
]

# These checks look for CsrfViewMiddleware and AxesMiddleware by name, but the names in MIDDLEWARE start with Admin.
SILENCED_SYSTEM_CHECKS = ["security.W003", "axes.W002"]
if not ADMIN:
    SILENCED_SYSTEM_CHECKS += ["admin.E408", "admin.E409", "admin.E410"]  # the middleware of the admin

ROOT_URLCONF = "todo_project.urls"
WSGI_APPLICATION = "todo_project.wsgi.application"
APPEND_SLASH = False
# The service is at the root of its host. Without this, Django looks for three variables of other servers per request.
FORCE_SCRIPT_NAME = ""

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "DIRS": [BASE_DIR / "todo_project" / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


DB_POOL_SIZE = env.integer("DB_POOL_SIZE", 8, 1, 1000)
DB_POOLER = env.str("DB_POOLER", "none", validate=must.OneOf(["none", "transaction", "transaction-prepared"]))

# In seconds. With these defaults, a request gets a 503 after about one second if the database is unavailable. The 503
# comes after about two seconds if the database hangs: docs/reliability.md.
DB_POOL_TIMEOUT = env.seconds("DB_POOL_TIMEOUT", 1, 0.1, 60)
DB_CONNECT_TIMEOUT = env.integer("DB_CONNECT_TIMEOUT", 2, 1, 60)
DB_ANSWER_TIMEOUT = env.seconds("DB_ANSWER_TIMEOUT", 2, 0.1, 3600)

# In seconds. Commands and the start of the service wait, because a serverless database needs time to wake up.
DB_START_TIMEOUT = env.seconds("DB_START_TIMEOUT", 30, 0, 3600)

# PostgreSQL shows each transaction the rows of one user only: docs/decisions/0010-row-security.md.
DB_ROW_SECURITY = env.switch("DB_ROW_SECURITY", default=False)

DATABASES = {
    "default": django_database(
        env.str("DATABASE_URL", "sqlite:///db.sqlite3"),
        BASE_DIR,
        PostgreSQLClient(
            pooled_externally=DB_POOLER != "none",
            prepares_statements=DB_POOLER != "transaction",
            serving=SERVING,
            pool_size=DB_POOL_SIZE,
            pool_timeout=DB_POOL_TIMEOUT,
            connect_timeout=DB_CONNECT_TIMEOUT,
            answer_timeout=DB_ANSWER_TIMEOUT,
        ),
    )
}
if DB_ROW_SECURITY and DATABASES["default"]["ENGINE"] != "database.postgresql":
    raise ImproperlyConfigured("Set DB_ROW_SECURITY=off: only PostgreSQL has row-level security")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
# Django's TIME_ZONE would change every time that the admin shows.
DUE_TIME_ZONE = env.str("TIME_ZONE", "UTC")
if DUE_TIME_ZONE not in time_zone_names():
    raise ImproperlyConfigured("Set TIME_ZONE to the IANA name of a time zone, such as Europe/Berlin")
FORMAT_MODULE_PATH = "todo_project.date_formats"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "todo_project.static_files.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [AUTHENTICATION[AUTH_MODE]],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "rest.negotiation.JSONNegotiation",
    "DEFAULT_PARSER_CLASSES": ["rest.json_parsers.JSONParser", "rest.json_parsers.MergePatchParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["throttling.throttles.Throttle"] if THROTTLES else [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "rest.problems.responses.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "To-do tasks",
    "DESCRIPTION": "Stores to-do tasks. Every error is a problem (RFC 9457). A GET of its `type` explains the problem.",
    "VERSION": VERSION,
    "LICENSE": {"name": "BSD 3-Clause License", "identifier": "BSD-3-Clause"},
    "SERVERS": [{"url": "/", "description": "The service that serves this document."}],
    "TAGS": [
        {"name": "tasks", "description": "The caller's tasks outside the trash."},
        {"name": "trash", "description": "The caller's deleted tasks."},
    ],
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_PATCH": False,  # tasks/api/schemas.py names the schemas of requests
    "POSTPROCESSING_HOOKS": [
        "tasks.api.schemas.document_schemas",
        "rest.openapi.document_problems",
        "idempotency.openapi.document_keys",
        "tasks.api.openapi.document_links",
    ],
}

LOG_LEVEL = env.str("LOG_LEVEL", "INFO", validate=must.OneOf(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]))
LOG_HANDLER = {"class": "logging.StreamHandler", "formatter": "log", "filters": ["request"]}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request": {"()": "observability.log.RequestFilter"},
        "outage": {"()": "database.connections.OutageFilter"},
    },
    "formatters": {"log": {"()": f"observability.log.{'LineFormatter' if DEBUG else 'JSONFormatter'}"}},
    "handlers": {
        "stdout": {**LOG_HANDLER, "stream": "ext://sys.stdout"},
        "stderr": {**LOG_HANDLER, "stream": "ext://sys.stderr"},
    },
    # A command logs to standard error, because it prints its result to standard output.
    "root": {"handlers": ["stdout" if SERVING else "stderr"], "level": LOG_LEVEL},
    # No warnings for 4xx responses, because clients cause them. Responses of 500 and above are logged.
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR", "filters": ["outage"]},
        # The pool warns of each attempt to connect during an outage; docs/operations.md lists the events of an outage.
        "psycopg.pool": {"level": "ERROR"},
        "django.security": {"level": "CRITICAL"},
        "axes": {"level": "ERROR"},  # todo_project.security has the events
        # `manage.py serve` becomes the server, so it logs to standard output as the server does.
        "todo_project.server": {"handlers": ["stdout"], "propagate": False},
    },
}
