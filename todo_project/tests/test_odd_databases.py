"""PostgreSQL databases whose settings differ from PostgreSQL's defaults."""

import json
import os
import re
from urllib.parse import urlsplit

import psycopg
import pytest

from testing.api_clients import RecordingClient
from testing.commands import run_command_process
from testing.databases import postgresql_database
from testing.servers import running_service

pytestmark = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no such settings")

ODD_SETTINGS = {"standard_conforming_strings": "off", "DateStyle": "'German, DMY'"}
DIRECT = "config.getoption('database') == 'postgresql'"
POOLED = "config.getoption('database') == 'pgbouncer'"
TASK = {"title": 'back\\slash "quoted"', "description": "a\\nb"}


def findings(result):
    return re.findall(r"\((todo\.E[0-9]+)\) (.+)", result.err)


@pytest.mark.parametrize("command", ["migrate", "serve"])
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_other_encoding_than_utf8_is_refused(command, encoding):
    options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    with postgresql_database(os.environ["TEST_DATABASE_URL"], "template0", options) as url:
        result = run_command_process(url, command)
    message = f"The database's encoding is {encoding}, so it cannot store every title."
    assert (findings(result), result.out, result.code) == ([("todo.E002", message)], "", 1)


@pytest.fixture
def odd_database():
    server_url = os.environ["TEST_DATABASE_URL"]
    with postgresql_database(server_url) as url:
        name = urlsplit(url).path[1:]
        with psycopg.connect(server_url, autocommit=True) as connection:
            for setting, value in ODD_SETTINGS.items():
                connection.execute(f"ALTER DATABASE {name} SET {setting} = {value}")
        yield url


@pytest.mark.skipif(POOLED, reason="a pooler refuses the settings of a session")
def test_sessions_set_what_the_sql_depends_on(odd_database):
    assert run_command_process(odd_database, "migrate", "--verbosity=0").code == 0
    with running_service(odd_database, WORKERS="1") as server, RecordingClient(server.port) as client:
        created, replayed = (client.send("POST", "/api/tasks", TASK, Idempotency_Key="a") for _ in range(2))
        listed = client.send("GET", "/api/tasks")
    task = created.body
    assert {name: task[name] for name in TASK} == TASK
    assert (created.status, replayed.status, replayed.body) == (201, 201, task)
    assert listed.body == [task]
    exported = run_command_process(odd_database, "export_tasks")
    assert (json.loads(exported.out), exported.code) == (task, 0)


@pytest.mark.skipif(DIRECT, reason="without a pooler the sessions set these settings")
@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_odd_settings_behind_a_pooler_are_refused(odd_database, command):
    result = run_command_process(odd_database, command)
    assert findings(result) == [
        ("todo.E003", "DateStyle is German, DMY in the sessions of DATABASE_URL, and the service needs ISO."),
        ("todo.E003", "standard_conforming_strings is off in the sessions of DATABASE_URL, and the service needs on."),
    ]
    assert (result.out, result.code) == ("", 1)


@pytest.mark.skipif(POOLED, reason="a pooler refuses the settings of a session")
def test_url_that_sets_another_value_is_refused(odd_database):
    result = run_command_process(f"{odd_database}&options=-c%20datestyle%3DSQL", "migrate")
    message = "DateStyle is SQL, MDY in the sessions of DATABASE_URL, and the service needs ISO."
    assert (findings(result), result.code) == ([("todo.E003", message)], 1)
