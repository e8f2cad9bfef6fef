"""Apps that work offline end with the server's tasks: RxDB's replication, with three clients.

``make test-e2e`` installs RxDB, which needs Node 20 or newer.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from operator import itemgetter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from testing.databases import database_copy, sqlite_path
from testing.pgbouncer import running_pgbouncer
from testing.ports import HOST, free_port
from testing.servers import running_service

HERE = Path(__file__).parent
WRITING, PATIENCE = 12, 10
CONTROL_WRITING, CONTROL_PATIENCE = 8, 4

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="NOT TESTED WITH RXDB: install Node"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "rxdb").exists(),
        reason="NOT TESTED WITH RXDB: run make test-e2e, which installs RxDB",
    ),
]

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="PgBouncer is for PostgreSQL")

#: Numbers in the order in which transactions begin to write, as usual designs have them.
NUMBER_BY_SEQUENCE = """
CREATE SEQUENCE control_numbers;
CREATE OR REPLACE FUNCTION changes_set_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change_number := nextval('control_numbers');
    RETURN NEW;
END $$;
"""
#: Numbers by the clock when the request arrived, before SQLite's lock.
NUMBER_BY_ARRIVAL = """
DROP TRIGGER tasks_task_change_insert;
DROP TRIGGER tasks_task_change_update;
CREATE TRIGGER tasks_task_change_insert AFTER INSERT ON tasks_task
BEGIN UPDATE tasks_task SET change_number = control_number() WHERE id = NEW.id; END;
CREATE TRIGGER tasks_task_change_update AFTER UPDATE ON tasks_task WHEN NEW.change_number = OLD.change_number
BEGIN UPDATE tasks_task SET change_number = control_number() WHERE id = NEW.id; END;
"""


@contextmanager
def serve_with_delays(url, **variables):
    """Serve the project with delayed commits."""
    port = free_port()
    granian = ("-m", "granian", "--interface=wsgi", f"--port={port}", "--workers=2", "--blocking-threads=4")
    command = (sys.executable, *granian, "e2e.late_commits:application")
    with running_service(url, command, port, MAX_CONCURRENT_PER_USER="4", LOG_LEVEL="CRITICAL", **variables) as server:
        yield server


@pytest.fixture
def database_url(migrated_database):
    with database_copy(migrated_database) as url:
        yield url


@pytest.fixture(params=["direct", pytest.param("pgbouncer", marks=ON_POSTGRESQL)])
def server(request, database_url):
    """Serve the project with delayed commits, directly on the database or through PgBouncer."""
    if request.param == "direct":
        with serve_with_delays(database_url) as server:
            yield server
        return
    parts = urlsplit(database_url)
    [host] = parse_qs(parts.query)["host"]
    with running_pgbouncer(host) as port:
        url = f"postgresql://postgres@{HOST}:{port}{parts.path}"
        with serve_with_delays(url, DB_POOLER="transaction") as server:
            yield server


def write_at_random(module, server, writing, patience):
    """Let three clients write; return each client's tasks, the server's tasks, and the summed counts."""
    command = ["node", "random_writes.mjs", str(module), f"{server.url}/api/tasks", str(writing), str(patience)]
    answer = json.loads(subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, check=True).stdout)
    stored = sorted(json.loads(server.get("/api/tasks")[1]), key=itemgetter("id"))
    counts = {name: sum(client[name] for client in answer["counts"]) for name in answer["counts"][0]}
    return answer["tasks"], stored, counts


def test_rxdb_clients_end_equal_to_server(server):
    clients, stored, counts = write_at_random("rxdb_client.mjs", server, WRITING, PATIENCE)
    assert clients == [stored] * 3
    assert all(counts[name] > 20 for name in ("created", "changed", "deleted", "conflicts")), counts
    assert counts["retried"] == 0


def number_before_write(url):
    """Replace the numbers of the feed by those of usual designs."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url))) as connection:
            connection.executescript(NUMBER_BY_ARRIVAL)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(NUMBER_BY_SEQUENCE)


def test_control_with_early_numbers_clients_end_unequal(database_url):
    number_before_write(database_url)
    with serve_with_delays(database_url) as server:
        clients, stored, _ = write_at_random("rxdb_client.mjs", server, CONTROL_WRITING, CONTROL_PATIENCE)
    assert clients != [stored] * 3
