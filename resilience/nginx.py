"""nginx with the configuration of ``deploy/nginx.conf``, on other ports."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from testing.programs import directory, find, port_of_its_own, running
from testing.servers import HOST, ROOT

#: What Debian's /etc/nginx/nginx.conf has around the file.
AROUND = """
daemon off;
worker_processes 2;
pid {home}/pid;
error_log {home}/errors warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/todo.conf;
}}
"""


@contextmanager
def nginx(service: int, changes: Mapping[str, str] | None = None) -> Iterator[int]:
    """The port of a proxy in front of the service at a port, as shipped but for the ``changes`` of a control."""
    program = find("nginx", "nginx")
    port = port_of_its_own()
    shipped = (ROOT / "deploy" / "nginx.conf").read_text()
    for there, here in {
        **(changes or {}),
        "listen 80 ": f"listen {HOST}:{port} ",
        SERVICE: f"{HOST}:{service}",
    }.items():
        assert there in shipped, there
        shipped = shipped.replace(there, here)
    with directory(None) as home:
        home.chmod(0o755)  # the workers are nobody
        (home / "todo.conf").write_text(shipped)
        (home / "nginx.conf").write_text(AROUND.format(home=home))
        with running([program, "-c", str(home / "nginx.conf"), "-p", str(home)], port, None, home / "log"):
            yield port


SERVICE = "127.0.0.1:8001"
