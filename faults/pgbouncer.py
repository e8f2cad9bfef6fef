"""PgBouncer in transaction mode, in front of a PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.running import HOST, free_port
from faults.programs import directory, find, running, unprivileged

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
"""


@contextmanager
def pgbouncer(target: str, size: int = 20) -> Iterator[int]:
    """The port of a pooler whose server is ``target``, such as ``host=127.0.0.1 port=5432 user=postgres``."""
    program = find("pgbouncer", "pgbouncer")
    with directory() as home:
        port = free_port()
        file = home / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(target=target, host=HOST, port=port, size=size))
        with running([program, str(file)], port, unprivileged(), home / "log"):
            yield port
