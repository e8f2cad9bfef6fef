"""nginx with the configuration of ``deploy/nginx.conf``, on other ports."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from testing.ports import HOST, free_port
from testing.programs import directory_owned_by, find_program, running_program
from testing.python_processes import ROOT

#: The address of the service in ``deploy/nginx.conf``.
SERVICE_ADDRESS = "127.0.0.1:8001"

#: The part that Debian's /etc/nginx/nginx.conf has around ``deploy/nginx.conf``.
MAIN_CONFIGURATION = """
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
def run_nginx(service_port: int, replacements: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run nginx in front of a service, and yield its port; a control replaces parts of the configuration."""
    program = find_program("nginx", "nginx")
    port = free_port()
    configuration = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in {
        **(replacements or {}),
        "listen 80 ": f"listen {HOST}:{port} ",
        SERVICE_ADDRESS: f"{HOST}:{service_port}",
    }.items():
        assert old in configuration, old
        configuration = configuration.replace(old, new)
    with directory_owned_by(None) as home:
        home.chmod(0o755)  # because nginx runs its workers as nobody
        (home / "todo.conf").write_text(configuration)
        (home / "nginx.conf").write_text(MAIN_CONFIGURATION.format(home=home))
        with running_program([program, "-c", str(home / "nginx.conf"), "-p", str(home)], port, None, home / "log"):
            yield port
