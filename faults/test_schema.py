"""Requests made up from the OpenAPI document, by schemathesis: nothing is answered that the document does not say."""

import re
import subprocess
import sys
from pathlib import Path

from faults import LONG

EXAMPLES = 1000 if LONG else 60

#: What OpenAPI has no words for makes a request that fits the document a 400 or a 412: the characters of a title, and
#: the version that a task is at.
LEFT_OUT = "positive_data_acceptance"


def test_no_answer_is_other_than_the_document_says(server, figure, tmp_path):
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{server.url}/api/schema"]
    options = ["--checks=all", f"--exclude-checks={LEFT_OUT}", f"--max-examples={EXAMPLES}", "--seed=1", "--no-color"]
    phases = "--phases=examples,coverage,fuzzing,stateful"
    ran = subprocess.run(
        [*command, *options, phases, "--workers=2"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    generated = re.search(r"(\d+) generated", ran.stdout)
    figure(f"{generated[0] if generated else 'none'}, exit code {ran.returncode}")
    assert ran.returncode == 0, ran.stdout
    assert generated
    assert int(generated[1]) > 500
