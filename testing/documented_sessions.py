"""Sessions with curl in the documents: run them against a service, and compare what they print."""

import re
import subprocess

from testing.ports import HOST
from testing.python_processes import ROOT

#: The parts that differ in each run, as regular expressions by placeholder.
VARYING = {
    "<id>": r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "date: <date>": r"date: .*",
}


def run_session(page: str, port: int) -> tuple[list[str], list[str]]:
    """Run the commands of a page, and return the lines that they print and the lines of the page."""
    session = "".join(re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE))
    commands = [line[2:] for line in session.splitlines() if line.startswith("$ ")]
    assert commands != []
    script = "\n".join(f"cat <<'END'\n$ {command}\nEND\n{command}" for command in commands)
    script = script.replace("localhost:8000", f"{HOST}:{port}")
    output = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=True)
    printed = output.stdout.replace(f"{HOST}:{port}", "localhost:8000")
    return _without_varying_parts(printed), _without_varying_parts(session)


def _without_varying_parts(text: str) -> list[str]:
    for placeholder, pattern in VARYING.items():
        text = re.sub(pattern, placeholder, text)
    return [line.rstrip() for line in text.splitlines()]
