"""Run PgBouncer in transaction mode, in front of a PostgreSQL server."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.ports import HOST, free_port
from testing.programs import directory_owned_by, find_program, running_program, unprivileged_user

CONFIGURATION = """
[databases]
* = {target}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = {size}
; The default is to wait 15 s before a new connection to a server that was unavailable.
server_login_retry = 1
"""


@contextmanager
def running_pgbouncer(
    host: str, port: int = 5432, size: int = 20, role: str = "postgres", further_settings: str = ""
) -> Iterator[int]:
    """Yield the port of a pooler for the server at ``host``, a host name or a socket's directory."""
    program = find_program("pgbouncer", "pgbouncer")
    user = Path(host).owner() if os.geteuid() == 0 and Path(host).is_dir() else unprivileged_user()
    with directory_owned_by(user) as home:
        pooler_port = free_port()
        target = f"host={host} port={port} user={role}"
        file = home / "pgbouncer.ini"
        configuration = CONFIGURATION.format(target=target, host=HOST, port=pooler_port, size=size)
        file.write_text(configuration + further_settings)
        with running_program([program, str(file)], pooler_port, user, home / "log"):
            yield pooler_port


def require_pgbouncer(*version: int) -> None:
    """Skip the test if PgBouncer is older than ``version``."""
    program = find_program("pgbouncer", "pgbouncer")
    output = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    [found] = re.findall(r"^PgBouncer (\d+)\.(\d+)", output)
    if tuple(map(int, found)) < version:
        pytest.skip(f"PgBouncer is {'.'.join(found)}: {'.'.join(map(str, version))} or newer is needed")
