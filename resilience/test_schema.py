"""Requests made up from the OpenAPI document, by schemathesis: nothing is answered that the document does not say.

All its checks, and what comes of an answer that leads to the next request (the document's links). ``schemathesis.toml``
and ``schemathesis_hooks.py`` say what it cannot know.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from resilience import LONG
from testing.servers import ROOT

#: For how long, and how many requests it must come to; nine tenths of the time go into making them up.
SECONDS, LEAST = (600, 10_000) if LONG else (240, 5000)

CONFIGURATION = ROOT / "faults" / "schemathesis.toml"
HOOKS = "resilience.schemathesis_hooks"


def play(document, server, directory, *more):
    """Requests in rounds of some an operation, after each of which the links are followed."""
    command = [Path(sys.executable).with_name("schemathesis"), f"--config-file={CONFIGURATION}", "run", document]
    options = ["--checks=all", "--max-examples=50", "--workers=2", "--seed=1", "--no-color", *more]
    return subprocess.run(
        [*command, f"--url={server.url}", *options],
        cwd=directory,
        env={**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_answer_is_other_than_the_document_says(server, figure, tmp_path):
    played = play(f"{server.url}/api/schema", server, tmp_path, f"--max-time={SECONDS}")
    generated = re.search(r"(\d+) generated", played.stdout)
    links = re.search(r"(\d+) covered", played.stdout)
    figure(f"{generated and generated[0]}, {links and links[0]} of the links, exit code {played.returncode}")
    assert played.returncode == 0, played.stdout
    assert generated
    assert int(generated[1]) >= LEAST
    assert links
    assert int(links[1]) >= 30


def test_a_document_that_says_something_else_is_found_out(server, figure, tmp_path):
    """The control: one constraint that no new task meets."""
    with urlopen(Request(f"{server.url}/api/schema", headers={"Accept": "application/json"})) as response:
        document = json.load(response)
    document["components"]["schemas"]["Task"]["properties"]["version"]["minimum"] = 2
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    played = play(file, server, tmp_path, "--phases=coverage")
    figure(f"exit code {played.returncode}")
    assert played.returncode == 1, played.stdout
    assert "1 is less than the minimum of 2" in played.stdout
