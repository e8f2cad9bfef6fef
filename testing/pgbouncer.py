"""PgBouncer in transaction mode, in front of a PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.programs import directory, find, port_of_its_own, running, unprivileged
from testing.servers import HOST

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
; By default it lets 15 s pass before it asks a server again that was away.
server_login_retry = 1
"""


@contextmanager
def pgbouncer(host: str, port: int = 5432, size: int = 20, role: str = "postgres") -> Iterator[int]:
    """The port of a pooler whose server is at ``host``, a name or, of a server of this machine, its directory."""
    program = find("pgbouncer", "pgbouncer")
    user = Path(host).owner() if os.geteuid() == 0 and Path(host).is_dir() else unprivileged()
    with directory(user) as home:
        listening = port_of_its_own()
        target = f"host={host} port={port} user={role}"
        file = home / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(target=target, host=HOST, port=listening, size=size))
        with running([program, str(file)], listening, user, home / "log"):
            yield listening
