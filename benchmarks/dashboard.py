"""Draw the panels of the dashboard from a run with faults, into docs/images/dashboard.png.

The service serves a mixed load. Its database is slow, then stopped, and then its identity provider fails. Prometheus
answers the queries of the panels, as it answers Grafana.
"""

import argparse
import time
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from testing.identity_provider import Provider
from testing.metered_service import locked_tasks, mixed_load, running_metered_service, stopped, without_keys
from testing.ports import free_port
from testing.postgresql import PostgreSQL
from testing.prometheus import (
    Prometheus,
    expression,
    panels,
    running_node_exporter,
    running_prometheus,
    write_backup_time,
)
from testing.python_processes import ROOT
from testing.waiting import wait_for

PICTURE = ROOT / "docs" / "images" / "dashboard.png"
WINDOW = "10s"
COLUMNS = 2


def run_with_faults(seconds: float) -> list[list[dict[str, Any]]]:
    """Return the series of each panel's targets, after a run with three faults of ``seconds`` each."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="todo-dashboard-")))
        postgresql = PostgreSQL.create_in(str(directory))
        postgresql.start()
        stack.callback(postgresql.kill)
        url = postgresql.create_migrated_database("todo_dashboard")
        provider = stack.enter_context(closing(Provider()))
        port = free_port()
        server = stack.enter_context(running_metered_service(url, provider, port))
        texts = directory / "texts"
        texts.mkdir()
        write_backup_time(texts, 3600)
        node_port = stack.enter_context(running_node_exporter(texts))
        prometheus = stack.enter_context(running_prometheus([port], node_port))
        stack.enter_context(mixed_load(server.port, provider))
        wait_for(lambda: prometheus.query("todo_workers"), "the service is scraped")
        start = time.time()
        time.sleep(seconds)
        for fault in (locked_tasks(postgresql, "todo_dashboard"), stopped(postgresql), without_keys(provider)):
            with fault:
                time.sleep(seconds)
            time.sleep(seconds)
        return [read_panel(prometheus, panel, start, time.time()) for panel in panels()]


def read_panel(prometheus: Prometheus, panel: dict[str, Any], start: float, end: float) -> list[dict[str, Any]]:
    """Return the series of a panel, with their legends."""
    found = []
    for target in panel["targets"]:
        for series in prometheus.query_range(expression(target, WINDOW), start, end, 1):
            legend = target["legendFormat"]
            for name, text in series["metric"].items():
                legend = legend.replace(f"{{{{{name}}}}}", text)
            times, values = zip(*series["values"], strict=True)
            found.append(
                {"legend": legend, "times": [each - start for each in times], "values": list(map(float, values))}
            )
    return found


def draw(series_by_panel: list[list[dict[str, Any]]], file: Path) -> None:
    """Draw each panel as lines over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-len(series_by_panel) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(13, 2.4 * rows), layout="constrained")
    for axis, panel, found in zip(axes.flat, panels(), series_by_panel, strict=False):
        for series in found:
            axis.plot(series["times"], series["values"], label=series["legend"], linewidth=1.2)
        axis.set_title(f"{panel['title']} ({panel['fieldConfig']['defaults']['unit']})", fontsize=9, loc="left")
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=6, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.supxlabel("seconds", fontsize=8)
    figure.savefig(file, dpi=100)


def main() -> None:
    """Run the service with faults, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    # With 25 seconds, the database is available whenever the exporter asks it: once a minute.
    parser.add_argument("--seconds", type=float, default=25, help="of each fault, and between two of them")
    parser.add_argument("--file", type=Path, default=PICTURE)
    options = parser.parse_args()
    draw(run_with_faults(options.seconds), options.file)
    print(options.file)


if __name__ == "__main__":
    main()
