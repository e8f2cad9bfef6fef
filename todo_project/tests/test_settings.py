"""Tests of the settings that the environment, ``.env`` and their documentation give."""

import errno
import json
import os
import re
import runpy
import stat
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import global_settings, settings
from django.core.exceptions import ImproperlyConfigured
from environs import EnvError

from testing.python_processes import REQUIRED_SETTINGS, json_output_of, run_python
from todo_project import __version__

pytestmark = pytest.mark.once

ENV_EXAMPLE = settings.BASE_DIR / ".env.example"
SETTINGS_PAGE = settings.BASE_DIR / "docs" / "settings.md"
CHECK_DEPLOY = ("check", "--deploy", "--fail-level", "WARNING")

DATABASE_URL_FORMS = "postgresql://user:password@host:5432/name or sqlite:///file.sqlite3"
SET_SECRET_KEY = (
    "Set SECRET_KEY (or SECRET_KEY_FILE) to a random text of 50 characters or more, such as this prints: "
    'python -c "import secrets; print(secrets.token_urlsafe(50))"'
)
SET_AUTH_MODE = (
    "Set AUTH_MODE=jwt for many users with tokens, or AUTH_MODE=single-user for one user “default” without tokens"
)
SET_API_TOKEN = (
    "Set API_TOKEN (or API_TOKEN_FILE) to a random text of 32 to 1024 visible ASCII characters without blanks, such as "
    'this prints: python -c "import secrets; print(secrets.token_urlsafe(32))"'
)
JWT = {
    "AUTH_MODE": "jwt",
    "JWT_JWKS_URL": "https://auth.example.org/api/auth/jwks",
    "JWT_ISSUER": "https://auth.example.org",
    "JWT_AUDIENCE": "https://todo.example.org",
}
SET_JWT_JWKS_URL = (
    "Set JWT_JWKS_URL to the URL of the identity provider's keys, such as "
    "https://auth.example.org/api/auth/jwks; http is for 127.0.0.1, ::1 and localhost only"
)
SET_JWT_ISSUER = "Set JWT_ISSUER to the “iss” of the identity provider's tokens"
SET_JWT_AUDIENCE = "Set JWT_AUDIENCE to the “aud” of the tokens for this service"
SET_THROTTLES = (
    "Set THROTTLE_READ and THROTTLE_WRITE to a number of requests and a time, such as 600/minute (or /second, /hour, "
    "/day), or to nothing for no limit"
)
SET_TARGET_SESSION_ATTRS = (
    "Set DATABASE_URL with ?target_session_attrs=read-write if it names several hosts: all but one of them are "
    "standbys, which take no writes"
)
SET_DATABASE_URL = f"Set DATABASE_URL to a URL, {DATABASE_URL_FORMS}"

SESSION_SETTINGS = "-c standard_conforming_strings=on -c datestyle=ISO"
SET_ALLOWED_HOSTS = (
    "Set ALLOWED_HOSTS to host names without scheme and port, such as todo.example.org; a comma separates two of them"
)
SET_ORIGINS = (
    "Set {} to origins in lower case and without a default port, such as https://todo.example.org; "
    "a comma separates two of them"
)
SET_OTLP_ENDPOINT = (
    "Set OTEL_EXPORTER_OTLP_ENDPOINT to the URL of a receiver of OTLP over HTTP, such as http://127.0.0.1:4318"
)
SET_OTLP_HEADERS = (
    "Set OTEL_EXPORTER_OTLP_HEADERS to headers in the form name=value, with %20 for a blank; a comma separates two of "
    "them"
)
SET_HOST = "Set HOST to an address, such as 127.0.0.1 for this machine or 0.0.0.0 for every interface"


INVALID_SETTINGS = [
    *(
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, SET_OTLP_ENDPOINT)
        for url in ("127.0.0.1:4318", "ftp://127.0.0.1", "http://", "http://a b", "http://a:4318/?q=1", "http://a@b")
    ),
    *(({"OTEL_EXPORTER_OTLP_HEADERS": header}, SET_OTLP_HEADERS) for header in ("key", "a b=c", "key=é", "key=a b")),
    ({"SECRET_KEY": None}, SET_SECRET_KEY),
    ({"SECRET_KEY": " "}, SET_SECRET_KEY),
    ({"AUTH_MODE": None}, SET_AUTH_MODE),
    ({"AUTH_MODE": "none"}, SET_AUTH_MODE),
    *(({"API_TOKEN": token}, SET_API_TOKEN) for token in ("t" * 31, "t" * 1025, "t" * 31 + "é", f"{'t' * 31} t")),
    ({**JWT, "JWT_JWKS_URL": None}, SET_JWT_JWKS_URL),
    ({**JWT, "JWT_JWKS_URL": "http://auth.example.org/jwks"}, SET_JWT_JWKS_URL),
    ({**JWT, "JWT_JWKS_URL": "http://localhost.example.org/jwks"}, SET_JWT_JWKS_URL),
    ({**JWT, "JWT_JWKS_URL": "http://127.0.0.1@example.org/jwks"}, SET_JWT_JWKS_URL),
    ({**JWT, "JWT_JWKS_URL": "https://user:secret@auth.example.org/jwks"}, SET_JWT_JWKS_URL),
    ({**JWT, "JWT_JWKS_URL": "file:///etc/jwks"}, SET_JWT_JWKS_URL),
    ({**JWT, "JWT_ISSUER": None}, SET_JWT_ISSUER),
    ({**JWT, "JWT_ISSUER": " "}, SET_JWT_ISSUER),
    ({**JWT, "JWT_AUDIENCE": None}, SET_JWT_AUDIENCE),
    ({"THROTTLE_READ": "600"}, SET_THROTTLES),
    ({"THROTTLE_WRITE": "0/minute"}, SET_THROTTLES),
    ({"THROTTLE_WRITE": "10/week"}, SET_THROTTLES),
    *(({"HOST": host}, SET_HOST) for host in ("[::1]", "http://localhost", "a b", "\u0661.0.0.1")),
    ({"METRICS_HOST": "[::1]"}, "Set METRICS_HOST to an address, such as 127.0.0.1 for this machine"),
    *(
        ({"BUILD": build}, "Set BUILD to up to 64 letters, digits, dots and hyphens, such as the commit's hash")
        for build in ("a b", "a+b", "a" * 65)
    ),
    *(
        ({"ALLOWED_HOSTS": hosts}, SET_ALLOWED_HOSTS)
        for hosts in (",", "localhost,", "a,,b", "https://localhost", "localhost:8000", "*.example.org", "a b", "::1")
    ),
    *(
        ({name: origins}, SET_ORIGINS.format(name))
        for name in ("CSRF_TRUSTED_ORIGINS", "CORS_ALLOWED_ORIGINS")
        for origins in (
            *(
                ",",
                "https://a.example,",
                "a.example",
                "https://",
                "https://A.example",
                "https://a.example/",
                "null",
                "*",
            ),
            *(
                "null",
                "*",
                "https://a.example:443",
                "http://a.example:80",
                "http://[::1]:80",
                "ftp://a.example",
                "https://a@b",
            ),
        )
    ),
    ({"CORS_ALLOWED_ORIGINS": "https://*.a.example"}, SET_ORIGINS.format("CORS_ALLOWED_ORIGINS")),
    *(
        ({name: "maybe"}, f"Set {name} to on or off")
        for name in ("ACCESS_LOG", "ADMIN", "DB_ROW_SECURITY", "DEBUG", "HTTPS")
    ),
    *(({name: "\udcff"}, f"Set {name} to UTF-8 text") for name in ("SECRET_KEY", "HOST", "DATABASE_URL")),
    (
        {"ENV_FILE": "/nowhere/env"},
        "Set ENV_FILE to a file that exists, or unset ENV_FILE to read .env",
    ),
    *(
        ({"TIME_ZONE": name}, "Set TIME_ZONE to the IANA name of a time zone, such as Europe/Berlin")
        for name in ("Berlin", "europe/berlin", "+01:00", "../etc/passwd")
    ),
    ({"DB_ROW_SECURITY": "on"}, "Set DB_ROW_SECURITY=off: only PostgreSQL has row-level security"),
    ({"DATABASE_URL": "garbage"}, SET_DATABASE_URL),
    ({"DATABASE_URL": "postgresql://host"}, SET_DATABASE_URL.replace("a URL", "a URL that names a database")),
    ({"DATABASE_URL": "postgresql://host:99999/name"}, SET_DATABASE_URL),
    ({"DATABASE_URL": "postgresql://host/na%00me"}, SET_DATABASE_URL),
    ({"DATABASE_URL": "sqlite://db.sqlite3"}, SET_DATABASE_URL.replace("a URL", "a URL that names a file")),
    ({"DATABASE_URL": "sqlite:///"}, SET_DATABASE_URL.replace("a URL", "a URL that names a file")),
    (
        {"DATABASE_URL": "sqlite:////nowhere/db.sqlite3"},
        "Set DATABASE_URL to a file in a directory that exists; /nowhere/db.sqlite3 is none",
    ),
    (
        {"DATABASE_URL": "sqlite:////tmp"},
        "Set DATABASE_URL to a file in a directory that exists; /tmp is none",
    ),
    (
        {"DATABASE_URL": "sqlite:///what?.sqlite3"},
        "Set DATABASE_URL without .sqlite3; SQLite takes timeout, a number of seconds",
    ),
    (
        {"DATABASE_URL": "sqlite:///db.sqlite3?timeout=long"},
        "Set DATABASE_URL with a whole number of seconds as timeout",
    ),
    (
        {"DATABASE_URL": "postgresql://host/name?pgbouncer=true&pool_timeout=1&sslmode=require"},
        "Set DATABASE_URL without pgbouncer, pool_timeout; DB_POOL_SIZE and DB_POOLER configure pools",
    ),
    (
        {"DATABASE_URL": "postgresql://host/name?sslmode=require&sslmode=disable"},
        "Set DATABASE_URL with one value for sslmode",
    ),
    ({"DATABASE_URL": "mysql://user@host/name"}, SET_DATABASE_URL),
    ({"DATABASE_URL": "postgresql://a:5432,b:high/name?target_session_attrs=read-write"}, SET_DATABASE_URL),
    ({"DATABASE_URL": "postgresql://a,/name?target_session_attrs=read-write"}, SET_DATABASE_URL),
    (
        {"DATABASE_URL": "postgresql://a/name?pool=1"},
        "Set DATABASE_URL without pool; DB_POOL_SIZE and DB_POOLER configure pools",
    ),
    ({"DATABASE_URL": "postgresql://a,b/name"}, SET_TARGET_SESSION_ATTRS),
    ({"DATABASE_URL": "postgresql://a,b/name?target_session_attrs=any"}, SET_TARGET_SESSION_ATTRS),
    ({"DATABASE_URL": "postgresql:///name?host=a,b"}, SET_TARGET_SESSION_ATTRS),
]


def changed_settings(variables):
    return " ".join(f"{name}={value}" for name, value in variables.items() if JWT.get(name) != value)


@pytest.mark.parametrize(
    ("variables", "sentence"), INVALID_SETTINGS, ids=[changed_settings(variables) for variables, _ in INVALID_SETTINGS]
)
def test_invalid_setting_raises_one_sentence(variables, sentence):
    with pytest.raises(ImproperlyConfigured) as error:
        read_settings(**variables)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("JWT_ALGORITHMS", "none", "ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA"),
        ("JWT_ALGORITHMS", "EdDSA,HS256", "not in: ES256"),
        ("JWT_ALGORITHMS", "EdDSA,", "not in: ES256"),
        ("DB_POOLER", "session", "none, transaction"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("SECRET_KEY_FILE", "/nowhere/key", "file"),
    ],
)
def test_wrong_value_raises_one_line_with_setting_and_rule(variable, value, rule):
    secret_key = {"SECRET_KEY": None} if variable == "SECRET_KEY_FILE" else {}
    with pytest.raises((ImproperlyConfigured, EnvError)) as error:
        read_settings(**secret_key, **{variable: value})
    assert re.fullmatch(rf".*\b{variable}\b.*{rule}.*", str(error.value))


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"AUTH_MODE": None}, SET_AUTH_MODE),
        ({"DEBUG": "maybe"}, "Set DEBUG to on or off"),
    ],
    ids=["missing", "wrong"],
)
def test_check_with_invalid_setting_prints_only_the_sentence(variables, sentence):
    process = run_python("manage.py", "check", **{**REQUIRED_SETTINGS, **variables})
    assert (process.stdout, process.stderr, process.returncode) == ("", f"{sentence}\n", 2)


def test_import_with_invalid_setting_ends_with_the_sentence():
    process = run_python("-c", "import todo_project.settings", **{**REQUIRED_SETTINGS, "AUTH_MODE": None})
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == f"django.core.exceptions.ImproperlyConfigured: {SET_AUTH_MODE}"


def read_settings(**environment):
    """Run ``settings.py`` as in a new process that has only the required settings and ``environment``."""
    variables = {"ENV_FILE": os.devnull, **REQUIRED_SETTINGS, **environment}
    variables = {name: value for name, value in variables.items() if value is not None}
    with patch.dict(os.environ, variables, clear=True), patch.dict(sys.modules):
        sys.modules.pop("todo_project.wsgi", None)  # with this module, settings.py assumes a server
        return runpy.run_path(str(settings.BASE_DIR / "todo_project" / "settings.py"))


def settings_with(*names, **environment):
    """Return the settings of these names with ``environment``, as JSON has them."""
    values = {**vars(global_settings), **read_settings(**environment)}
    return json.loads(json.dumps({name: values[name] for name in names}, default=str))


def test_settings_without_optional_variables_are_defaults():
    workers = max(2, os.cpu_count() or 1)
    names = ("DEBUG", "HOST", "PORT", "WORKERS", "THREADS", "HTTPS", "LOG_LEVEL", "ACCESS_LOG", "ALLOWED_HOSTS")
    assert settings_with(*names, "CORS_ALLOWED_ORIGINS", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE") == {
        "DEBUG": False,
        "HOST": "127.0.0.1",
        "PORT": 8000,
        "WORKERS": workers,
        "THREADS": 4,
        "HTTPS": False,
        "LOG_LEVEL": "INFO",
        "ACCESS_LOG": False,
        "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"],
        "CORS_ALLOWED_ORIGINS": [],
        "SECURE_SSL_REDIRECT": False,
        "SESSION_COOKIE_SECURE": False,
    }


@pytest.mark.parametrize(
    ("variables", "file"),
    [
        ({}, settings.BASE_DIR / "db.sqlite3"),
        ({"DATABASE_URL": "sqlite:///tasks.sqlite3"}, settings.BASE_DIR / "tasks.sqlite3"),
        ({"DATABASE_URL": "sqlite:////srv/tasks.sqlite3"}, "/srv/tasks.sqlite3"),
        ({"DATABASE_URL": "sqlite:////srv/a#1 b.sqlite3"}, "/srv/a#1 b.sqlite3"),
        ({"DATABASE_URL": "sqlite:////srv/a%231%3F%25.sqlite3"}, "/srv/a#1?%.sqlite3"),
    ],
    ids=["default", "relative path", "absolute path", "number sign", "percent-encoded"],
)
def test_sqlite_options_suit_many_processes(variables, file):
    """A relative path starts beside ``manage.py``, not in the working directory."""
    database = settings_with("DATABASES", **variables)["DATABASES"]["default"]
    assert {name: database[name] for name in ("ENGINE", "NAME", "CONN_MAX_AGE", "OPTIONS")} == {
        "ENGINE": "database.sqlite",
        "NAME": str(file),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        },
    }


def test_settings_take_values_from_the_environment():
    variables = {
        "HOST": "::1",
        "PORT": "65535",
        "WORKERS": "3",
        "THREADS": "8",
        "HTTPS": "true",
        "LOG_LEVEL": "ERROR",
        "ACCESS_LOG": "on",
        "ALLOWED_HOSTS": "todo.example.org, .example.com",
        "CSRF_TRUSTED_ORIGINS": "https://todo.example.org",
        "CORS_ALLOWED_ORIGINS": "https://a.example.org,https://b.example.org",
    }
    names = (*variables, "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    assert settings_with(*names, "SECURE_PROXY_SSL_HEADER", **variables) == {
        "HOST": "::1",
        "PORT": 65535,
        "WORKERS": 3,
        "THREADS": 8,
        "HTTPS": True,
        "LOG_LEVEL": "ERROR",
        "ACCESS_LOG": True,
        "ALLOWED_HOSTS": ["todo.example.org", ".example.com"],
        "CSRF_TRUSTED_ORIGINS": ["https://todo.example.org"],
        "CORS_ALLOWED_ORIGINS": ["https://a.example.org", "https://b.example.org"],
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    }


def test_build_follows_the_version():
    assert settings_with("BUILD_VERSION") == {"BUILD_VERSION": __version__}
    assert settings_with("BUILD_VERSION", BUILD="3f2c9a1") == {"BUILD_VERSION": f"{__version__}+3f2c9a1"}


def test_cookies_under_https_have_secure_names():
    names = ("SESSION_COOKIE_NAME", "SESSION_COOKIE_PATH", "CSRF_COOKIE_NAME", "CSRF_COOKIE_PATH")
    assert list(settings_with(*names).values()) == ["sessionid", "/admin/", "csrftoken", "/admin/"]
    secure = ["__Secure-sessionid", "/admin/", "__Secure-csrftoken", "/admin/"]
    assert list(settings_with(*names, HTTPS="on").values()) == secure


def test_admin_off_leaves_out_its_middleware():
    def middleware(**variables):
        return {name for name in settings_with("MIDDLEWARE", **variables)["MIDDLEWARE"] if "admin" in name}

    assert middleware() != set()
    assert middleware(ADMIN="off") == set()


@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example.org/api/auth/jwks",
        "https://auth.example.org:8443/jwks?tenant=1",
        "http://127.0.0.1:3000/jwks",
        "http://localhost:3000/jwks",
        "http://[::1]:3000/jwks",
    ],
)
def test_jwt_mode_authenticates_by_token(url):
    names = (*JWT, "JWT_ALGORITHMS", "JWT_LEEWAY", "JWT_MAX_LIFETIME", "JWT_JWKS_LIFESPAN", "JWT_JWKS_GRACE")
    jwt = {**JWT, "JWT_JWKS_URL": url}
    values = settings_with(*names, "REST_FRAMEWORK", **jwt)
    assert values.pop("REST_FRAMEWORK")["DEFAULT_AUTHENTICATION_CLASSES"] == ["identity.tokens.JWTAuthentication"]
    assert values == {
        **jwt,
        "JWT_ALGORITHMS": ["EdDSA", "ES256", "RS256"],
        "JWT_LEEWAY": 30,
        "JWT_MAX_LIFETIME": 3600,
        "JWT_JWKS_LIFESPAN": 300,
        "JWT_JWKS_GRACE": 86_400,
    }


@pytest.mark.parametrize(
    ("rates", "throttles"),
    [
        ({}, {}),
        ({"THROTTLE_READ": "", "THROTTLE_WRITE": " "}, {}),
        ({"THROTTLE_READ": "600/minute"}, {"read": [600, 60]}),
        ({"THROTTLE_WRITE": "1/second"}, {"write": [1, 1]}),
        ({"THROTTLE_READ": "7/hour", "THROTTLE_WRITE": "2/day"}, {"read": [7, 3600], "write": [2, 86_400]}),
    ],
    ids=["unset", "empty", "read", "write", "both"],
)
def test_throttling_is_on_only_with_a_rate_limit(rates, throttles):
    values = settings_with(
        "THROTTLES", "THROTTLE_PROXIES", "REST_FRAMEWORK", "MIDDLEWARE", THROTTLE_PROXIES="2", **rates
    )
    limited = bool(throttles)
    assert values["THROTTLES"] == throttles
    assert values["REST_FRAMEWORK"]["DEFAULT_THROTTLE_CLASSES"] == ["throttling.throttles.Throttle"] * limited
    assert values["THROTTLE_PROXIES"] == 2
    assert ("throttling.throttles.rate_limit_middleware" in values["MIDDLEWARE"]) is limited


def test_postgresql_url_configures_one_connection():
    url = "postgresql://user:p%40s#@host:5433/name?sslmode=require"
    database = settings_with("DATABASES", DATABASE_URL=url, DB_POOL_SIZE="5")["DATABASES"]["default"]
    names = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS")
    assert {name: database[name] for name in names} == {
        "ENGINE": "database.postgresql",
        "NAME": "name",
        "USER": "user",
        "PASSWORD": "p@s#",
        "HOST": "host",
        "PORT": 5433,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
    }
    assert database["OPTIONS"] == {
        "sslmode": "require",
        "connect_timeout": 2,
        "tcp_user_timeout": 2000,
        "application_name": "todo",
        "options": f"{SESSION_SETTINGS} -c random_page_cost=1.1",
        "server_side_binding": True,
        "prepare_threshold": 1,
    }


def test_options_of_the_url_follow_those_of_the_service():
    """PostgreSQL takes the last of two values."""
    url = "postgresql://host/name?options=-c%20random_page_cost%3D4"
    options = settings_with("DATABASES", DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]["options"]
    assert options == f"{SESSION_SETTINGS} -c random_page_cost=1.1 -c random_page_cost=4"


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("a,b", "a,b", "5432,5432"),
        ("user:p%40s,s@a:5433,b", "a,b", "5433,5432"),
        ("user@[::1]:5433,[fe80::1]:5434,c", "::1,fe80::1,c", "5433,5434,5432"),
    ],
    ids=["names", "password with a comma", "IPv6"],
)
@pytest.mark.parametrize("attribute", ["read-write", "primary"])
def test_url_with_several_hosts_lists_them_for_libpq(hosts, host, port, attribute):
    url = f"postgresql://{hosts}/name?target_session_attrs={attribute}"
    database = settings_with("DATABASES", DATABASE_URL=url)["DATABASES"]["default"]
    options = database["OPTIONS"]
    assert (database["HOST"], database["PORT"], options["target_session_attrs"]) == (host, port, attribute)
    assert (database["NAME"], database["PASSWORD"]) == ("name", "p@s,s" if "p%40s,s" in hosts else "")


def test_database_timeouts_come_from_the_environment():
    values = settings_with(
        "DATABASES",
        "DB_POOL_TIMEOUT",
        "DB_ANSWER_TIMEOUT",
        DATABASE_URL="postgresql://host/name",
        DB_POOL_TIMEOUT="0.5",
        DB_CONNECT_TIMEOUT="3",
        DB_ANSWER_TIMEOUT="1.5",
    )
    options = values["DATABASES"]["default"]["OPTIONS"]
    assert (options["connect_timeout"], options["tcp_user_timeout"]) == (3, 1500)
    assert (values["DB_POOL_TIMEOUT"], values["DB_ANSWER_TIMEOUT"]) == (0.5, 1.5)


def test_pooler_turns_prepared_statements_off():
    options = settings_with("DATABASES", DATABASE_URL="postgresql://host/name", DB_POOLER="transaction")["DATABASES"][
        "default"
    ]["OPTIONS"]
    assert (options["prepare_threshold"], options["options"]) == (None, "")


OPTIONS_OF_THE_SERVER = """
import json
from django.conf import settings
from todo_project import wsgi
options = settings.DATABASES["default"]["OPTIONS"]
print(json.dumps([options["options"], options["pool"]], default=lambda value: value.__name__))
"""

POOL = {
    "min_size": 1,
    "max_size": 5,
    "timeout": 0.5,
    "reconnect_timeout": 1,
    "max_waiting": 100,
    "connection_class": "BoundedConnection",
    "reconnect_failed": "check",
}


@pytest.mark.parametrize(
    ("pooler", "options"),
    [("none", f"{SESSION_SETTINGS} -c random_page_cost=1.1 -c statement_timeout=1800"), ("transaction", "")],
    ids=["direct", "pooler"],
)
def test_server_has_a_pool_and_a_statement_timeout(pooler, options):
    variables = {"DATABASE_URL": "postgresql://host/name", "DB_POOL_SIZE": "5", "DB_POOL_TIMEOUT": "0.5"}
    assert json_output_of(OPTIONS_OF_THE_SERVER, **variables, DB_POOLER=pooler) == [options, POOL]


def test_secret_key_is_read_from_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("the key of a file\n")
    file.chmod(stat.S_IRUSR)
    values = settings_with("SECRET_KEY", SECRET_KEY=None, SECRET_KEY_FILE=str(file))
    assert values == {"SECRET_KEY": "the key of a file"}


def test_api_token_is_read_from_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{'t' * 32}\n")
    assert settings_with("API_TOKEN", API_TOKEN_FILE=str(file)) == {"API_TOKEN": "t" * 32}
    assert settings_with("API_TOKEN", API_TOKEN="") == {"API_TOKEN": ""}


def test_environment_takes_precedence_over_env_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# a comment\nPORT=8001\nHOST=::1\nALLOWED_HOSTS=a.example,b.example\nTHREADS='5'\n")
    assert settings_with("PORT", "HOST", "ALLOWED_HOSTS", "THREADS", ENV_FILE=str(file), PORT="8002") == {
        "PORT": 8002,
        "HOST": "::1",
        "ALLOWED_HOSTS": ["a.example", "b.example"],
        "THREADS": 5,
    }


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("'a${HOME}b'", "a${HOME}b"),
        ('"a${HOME}b"', "a${HOME}b"),
        ("a${HOME}$b$$", "a${HOME}$b$$"),
        ("'${NOTHING:-x}'", "${NOTHING:-x}"),
        ("a#b", "a#b"),
        ("'a #b' # a comment", "a #b"),
    ],
)
def test_secret_in_env_file_is_plain_text(tmp_path, text, secret):
    file = tmp_path / ".env"
    file.write_text(f"\ufeffSECRET_KEY={text}\nPORT=8001\nPORT=8002\n", encoding="utf-8")
    values = settings_with("SECRET_KEY", "PORT", SECRET_KEY=None, HOME="/root", ENV_FILE=str(file))
    assert values == {"SECRET_KEY": secret, "PORT": 8002}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("PORT=8001\n".encode("utf-16"), "Cannot read the settings in {}: it is no UTF-8 text"),
        ("PORT=8001\n".encode("utf-16-le"), "Line 1 of {} is no setting: write NAME=value"),
        (b"HOST=::1\nPORT='8001\n", "Line 2 of {} is no setting: write NAME=value"),
        (b"HOST=::1\n\nPORT 8001\n", "Line 2 of {} is no setting: write NAME=value"),
        (b"PORT\n", "Line 1 of {} is no setting: write NAME=value"),
    ],
    ids=["UTF-16", "UTF-16 without a mark", "open quote", "blank", "name alone"],
)
def test_env_file_that_sets_nothing_is_refused(tmp_path, content, sentence):
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(ImproperlyConfigured) as error:
        read_settings(ENV_FILE=str(file))
    assert str(error.value) == sentence.format(file)


def test_unreadable_env_file_is_refused(tmp_path, monkeypatch):
    """Root can read every file, so the test fails the reading itself."""

    def fail(path, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    file = tmp_path / ".env"
    file.touch()
    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(ImproperlyConfigured, match=rf"^Cannot read the settings in {file}: Permission denied$"):
        read_settings(ENV_FILE=str(file))


def test_file_of_a_setting_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ImproperlyConfigured, match=r"^Cannot read the file of SECRET_KEY_FILE: it is no UTF-8 text$"):
        read_settings(SECRET_KEY=None, SECRET_KEY_FILE=str(file))


def test_debug_gives_required_settings_a_default():
    assert settings_with("DEBUG", "AUTH_MODE", SECRET_KEY=None, AUTH_MODE=None, DEBUG="true") == {
        "DEBUG": True,
        "AUTH_MODE": "single-user",
    }


def production_settings():
    """Return the settings under "Production" in ``docs/settings.md``, with a key instead of a file."""
    [block] = re.findall(r"^```sh\n(.*?)^```", SETTINGS_PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    documented = dict(line.split("=", 1) for line in block.splitlines())
    return {**documented, "SECRET_KEY_FILE": None, "SECRET_KEY": REQUIRED_SETTINGS["SECRET_KEY"]}


@pytest.mark.parametrize("mode", [{}, JWT], ids=["single-user", "jwt"])
def test_check_deploy_with_production_settings_is_silent(mode):
    process = run_python("manage.py", *CHECK_DEPLOY, **{**production_settings(), **mode})
    assert (process.stderr, process.returncode) == ("", 0)


def test_check_deploy_with_short_key_warns():
    process = run_python("manage.py", *CHECK_DEPLOY, **{**production_settings(), "SECRET_KEY": "short"})
    assert process.returncode == 1
    assert re.findall(r"\(([a-z0-9_.]+\.[WE][0-9]+)\)", process.stderr) == ["security.W009"]


def test_openapi_in_jwt_mode_differs_only_in_security():
    def document(**mode):
        variables = {**production_settings(), **mode}
        process = run_python("manage.py", "spectacular", "--validate", "--fail-on-warn", **variables)
        assert (process.stderr, process.returncode) == ("", 0)
        return process.stdout

    optional, required = "      security:\n      - bearer: []\n      - {}\n", "      security:\n      - bearer: []\n"
    single_user = document()
    assert optional in single_user
    assert single_user.replace(optional, required) == document(**JWT)


def variables_in_settings():
    source = (settings.BASE_DIR / "todo_project" / "settings.py").read_text(encoding="utf-8")
    return {*re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', source), *re.findall(r'environ\.get\("([A-Z_]+)"', source)}


def defaults_in_example():
    """Return the values by name in ``.env.example``, in its order."""
    return re.findall(r"^#?([A-Z_]+)=(.*)$", ENV_EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)


#: What an empty setting gets if it has no default.
REQUIRED = {
    "SECRET_KEY": SET_SECRET_KEY,
    "AUTH_MODE": SET_AUTH_MODE,
    "JWT_JWKS_URL": SET_JWT_JWKS_URL,
    "JWT_ISSUER": SET_JWT_ISSUER,
    "JWT_AUDIENCE": SET_JWT_AUDIENCE,
    "ENV_FILE": "Set ENV_FILE to a file that exists, or unset ENV_FILE to read .env",
}


def outcome_of(**variables):
    """Return the settings, or the sentence that refuses them."""
    try:
        values = read_settings(**variables)
    except ImproperlyConfigured as error:
        return str(error)
    return {name: value for name, value in values.items() if name.isupper()}


@pytest.mark.parametrize("name", [name for name, _ in defaults_in_example()])
@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_empty_value_counts_as_unset(name, value):
    mode = JWT if name.startswith("JWT_") else {}
    outcome = outcome_of(**{**mode, name: value})
    assert outcome == REQUIRED.get(name, outcome)
    if name != "ENV_FILE":
        assert outcome == outcome_of(**{**mode, name: None})


@pytest.mark.parametrize("name", [name for name, _ in defaults_in_example() if name != "ENV_FILE"])
def test_empty_file_of_a_setting_is_refused(name):
    assert outcome_of(**{name: None, f"{name}_FILE": os.devnull}) == f"Set {name}_FILE to a file that is not empty"


def test_empty_value_leaves_the_value_of_env_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("PORT=8001\nHOST=\n")
    assert settings_with("PORT", "HOST", ENV_FILE=str(file), PORT="") == {"PORT": 8001, "HOST": "127.0.0.1"}


#: The least and the most value of each number.
WHOLE_NUMBERS = {
    "JWT_LEEWAY": (0, 300),
    "JWT_MAX_LIFETIME": (60, 31_622_400),
    "JWT_JWKS_LIFESPAN": (10, 86_400),
    "JWT_JWKS_GRACE": (300, 604_800),
    "THROTTLE_PROXIES": (0, 10),
    "DB_POOL_SIZE": (1, 1000),
    "DB_CONNECT_TIMEOUT": (1, 60),
    "PORT": (1, 65535),
    "METRICS_PORT": (0, 65535),
    "WORKERS": (1, 256),
    "THREADS": (1, 256),
    "MAX_CONCURRENT_PER_USER": (1, 4),
    "ADMIN_SESSION_IDLE": (600, 43_200),
}
SECONDS = {
    "DB_POOL_TIMEOUT": (0.1, 60),
    "DB_ANSWER_TIMEOUT": (0.1, 3600),
    "DB_START_TIMEOUT": (0, 3600),
    "READY_CACHE": (0, 3600),
}
NOT_NUMBERS = ["abc", "\u0668\u0660", "\uff18", "1_0", "+8", "-1", "0x8", "1e1", "8,0", "8 0", "inf", "nan", "9" * 5000]


@pytest.mark.parametrize(("name", "limits"), (WHOLE_NUMBERS | SECONDS).items(), ids=WHOLE_NUMBERS | SECONDS)
def test_number_of_other_form_or_size_is_refused(name, limits):
    least, most = limits
    kind = "whole number" if name in WHOLE_NUMBERS else "number of seconds"
    outside = [str(most + 1), *([str(least / 2)] if least else []), *(["8.5"] if name in WHOLE_NUMBERS else [])]
    for value in (*NOT_NUMBERS, *outside):
        assert outcome_of(**{name: value}) == f"Set {name} to a {kind} from {least} to {most}"
    for value in limits:
        assert outcome_of(**{name: f" {value} "})[name] == value


def test_every_number_of_env_example_has_limits():
    assert {name for name, default in defaults_in_example() if default.isdigit()} == {*WHOLE_NUMBERS, *SECONDS}


def test_env_example_names_every_setting_once():
    assert sorted(name for name, _ in defaults_in_example()) == sorted(variables_in_settings())


def test_settings_page_has_the_defaults_of_env_example():
    page = SETTINGS_PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", page, re.MULTILINE)
    documented = [(name, "" if default == "-" else default.strip("`")) for name, default in rows]
    described = {"AUTH_MODE": "", "WORKERS": "one per CPU core, at least 2"}
    assert documented == [(name, described.get(name, default)) for name, default in defaults_in_example()]


def test_env_example_is_valid_with_a_secret_key(tmp_path):
    """The commented defaults are valid too."""
    text = ENV_EXAMPLE.read_text(encoding="utf-8")
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8")
    process = run_python("manage.py", "check", ENV_FILE=str(file))
    assert (process.stderr, process.returncode) == (f"{SET_SECRET_KEY}\n", 2)

    file.write_text(re.sub("^#(?=[A-Z_]+=)", "", text, flags=re.MULTILINE), encoding="utf-8")
    process = run_python("manage.py", "check", ENV_FILE=str(file), SECRET_KEY=REQUIRED_SETTINGS["SECRET_KEY"])
    assert (process.stderr, process.returncode) == ("", 0)
