"""Requests that schemathesis generates from the OpenAPI document, and their responses.

All checks of schemathesis run, and it follows the document's links. ``schemathesis.toml`` and
``schemathesis_hooks.py`` list the exceptions.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from resilience.limits import LONG_RUN
from testing.python_processes import ROOT

#: schemathesis spends nine tenths of this time on generating requests.
SECONDS, LEAST_REQUESTS = (600, 10_000) if LONG_RUN else (240, 5000)
LEAST_LINKS = 30


def run_schemathesis(document, server, directory, *options):
    configuration = ROOT / "resilience" / "schemathesis.toml"
    command = [Path(sys.executable).with_name("schemathesis"), f"--config-file={configuration}", "run", document]
    # Python 3.11 sometimes fails if two threads parse Python at once, as hypothesis does to describe a function.
    fixed = ["--checks=all", "--max-examples=50", "--workers=1", "--seed=1", "--no-color", f"--url={server.url}"]
    return subprocess.run(
        [*command, *fixed, *options],
        cwd=directory,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "resilience.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_responses_match_openapi_document(server, report_result, tmp_path):
    run = run_schemathesis(f"{server.url}/api/schema", server, tmp_path, f"--max-time={SECONDS}")
    generated = re.search(r"(\d+) generated", run.stdout)
    links = re.search(r"(\d+) covered", run.stdout)
    report_result(f"{generated and generated[0]}, {links and links[0]} of the links, exit code {run.returncode}")
    assert run.returncode == 0, run.stdout
    assert generated
    assert int(generated[1]) >= LEAST_REQUESTS
    assert links
    assert int(links[1]) >= LEAST_LINKS


def test_control_without_matching_document_check_fails(server, report_result, tmp_path):
    """The changed document has a constraint that new tasks break."""
    with urlopen(Request(f"{server.url}/api/schema", headers={"Accept": "application/json"})) as response:
        document = json.load(response)
    document["components"]["schemas"]["Task"]["properties"]["version"]["minimum"] = 2
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    run = run_schemathesis(file, server, tmp_path, "--phases=coverage")
    report_result(f"exit code {run.returncode}")
    assert run.returncode == 1, run.stdout
    assert "1 is less than the minimum of 2" in run.stdout
