"""Debian's Prometheus and node exporter, with ``deploy/prometheus`` on other ports."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from testing.ports import HOST, free_port
from testing.programs import directory_owned_by, find_program, running_program
from testing.python_processes import ROOT
from testing.waiting import wait_for

CONFIGURATION = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"

#: The addresses in ``prometheus.yml``.
INSTANCES = '"127.0.0.1:9101", "127.0.0.1:9102"'
NODE = "127.0.0.1:9100"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    port: int

    def ask(self, path: str, **parameters: object) -> Any:
        """Return the data of an answer of the HTTP API.

        https://prometheus.io/docs/prometheus/latest/querying/api/
        """
        url = f"http://{HOST}:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=30) as response:
            return json.load(response)["data"]

    def is_ready(self) -> bool:
        """Tell whether queries are answered, because Prometheus listens before it reads its data."""
        with suppress(HTTPError), urlopen(f"http://{HOST}:{self.port}/-/ready", timeout=30):
            return True
        return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the present values of an expression."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the values of an expression over time."""
        found: list[dict[str, Any]] = self.ask("query_range", query=expression, start=start, end=end, step=step)[
            "result"
        ]
        return found

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expression(target: dict[str, Any], window: str) -> str:
    """Return the expression of a panel's target, with a ``window`` where Grafana chooses one."""
    return str(target["expr"]).replace("$__rate_interval", window)


def adapt_alerts(directory: Path, window: str, keys_age: int, mountpoint: str) -> None:
    """Adapt the alerts to a test, which has seconds and not minutes.

    The alerts look back over ``window``, wait for nothing, and find keys old after ``keys_age`` seconds. They look only
    at the disk at ``mountpoint``, because another disk of this machine may be full.
    """
    file = directory / "alerts.yml"
    rules = re.sub(r"\[5m\]", f"[{window}]", file.read_text(encoding="utf-8"))
    rules = re.sub(r"for: \w+", "for: 0s", rules).replace("> 900", f"> {keys_age}")
    file.write_text(rules.replace('{job="node"}', f'{{job="node", mountpoint="{mountpoint}"}}'), encoding="utf-8")


@contextmanager
def running_prometheus(
    instances: Sequence[int], node_port: int, window: str = "10s", keys_age: int = 14, mountpoint: str = "/"
) -> Iterator[Prometheus]:
    """Yield a Prometheus that scrapes the ports of the ``instances`` and of the node exporter each second.

    The other arguments are those of ``adapt_alerts``.
    """
    program = find_program("prometheus", "prometheus")
    port = free_port()
    with directory_owned_by(None) as home:
        copytree(CONFIGURATION, home / "etc")
        adapt_alerts(home / "etc", window, keys_age, mountpoint)
        file = home / "etc" / "prometheus.yml"
        text = file.read_text(encoding="utf-8").replace("15s", "1s")
        for old, new in {
            INSTANCES: ", ".join(f'"{HOST}:{each}"' for each in instances),
            NODE: f"{HOST}:{node_port}",
        }.items():
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
        command = [program, f"--config.file={file}", f"--storage.tsdb.path={home}/data"]
        with running_program([*command, f"--web.listen-address={HOST}:{port}"], port, None, home / "log"):
            prometheus = Prometheus(port)
            wait_for(prometheus.is_ready, "Prometheus is ready")
            yield prometheus


@contextmanager
def running_node_exporter(directory: Path) -> Iterator[int]:
    """Yield the port of a node exporter that reads the disks, and the text files in ``directory``."""
    program = find_program("prometheus-node-exporter", "prometheus-node-exporter")
    port = free_port()
    collectors = ("--collector.disable-defaults", "--collector.filesystem", "--collector.textfile")
    command = [program, *collectors, f"--collector.textfile.directory={directory}"]
    command.append(f"--web.listen-address={HOST}:{port}")
    with directory_owned_by(None) as home, running_program(command, port, None, home / "log"):
        yield port


def write_backup_time(directory: Path, seconds: float = 0) -> None:
    """Write the metric of a backup that ended so many seconds ago, as docs/operations.md does."""
    file = directory / "todo_backup.new"
    file.write_text(f"todo_backup_timestamp_seconds {time.time() - seconds:.0f}\n", encoding="ascii")
    file.rename(directory / "todo_backup.prom")
