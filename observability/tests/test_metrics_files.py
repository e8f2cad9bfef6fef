"""The disk space of a worker's metrics."""

import resource
from pathlib import Path

import pytest

from observability.metrics_files import reserve_metrics_files
from testing.python_processes import json_output_of

pytestmark = pytest.mark.once

#: What a worker does with its metrics, in a process that may write files of a number of bytes.
WORKER = """
import json, os, resource
from observability.metrics_files import reserve_metrics_files
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
reserve_metrics_files()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
from prometheus_client import REGISTRY, Counter
from observability.metrics import DURATION
DURATION.labels("GET", "/api/tasks", 200).observe(0.1)
blocks = [os.stat(file).st_blocks * 512 for file in sorted(os.scandir({directory!r}), key=lambda file: file.name)]
print(json.dumps([sorted(os.listdir({directory!r})), blocks, "PROMETHEUS_MULTIPROC_DIR" in os.environ]))
"""


def run_worker(directory, limit):
    """Return the names of the files, their bytes on the disk, and whether the worker writes them."""
    code = WORKER.format(limit=limit, directory=str(directory))
    names, sizes, writes = json_output_of(code, PROMETHEUS_MULTIPROC_DIR=str(directory))
    return [name.rpartition("_")[0] for name in names], sizes, writes


def test_worker_has_the_space_of_its_files(tmp_path):
    names, sizes, writes = run_worker(tmp_path, resource.RLIM_INFINITY)
    assert names == ["counter", "gauge_livemax", "gauge_livesum", "histogram"]
    assert all(size >= 1024 * 1024 for size in sizes)
    assert writes


def test_worker_without_space_has_no_files(tmp_path):
    assert run_worker(tmp_path, 1000) == ([], [], False)


def test_missing_directory_is_an_error(monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(Path("/nonexistent")))
    with pytest.raises(FileNotFoundError):
        reserve_metrics_files()
