"""Report names of tests that are too long or not lower case: ``python -m testing.check_test_names``."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_LENGTH = 60
TEST_NAME = re.compile(r"test_[a-z0-9_]+")
#: The virtual environments, and the packages of Node.
EXCLUDED = re.compile(r"\.venv|node_modules")


def test_files() -> list[Path]:
    """Return the files that pytest collects tests from."""
    return [path for path in sorted(ROOT.rglob("test_*.py")) if not EXCLUDED.search(str(path.relative_to(ROOT)))]


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each bad name in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            place = f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
            if len(node.name) > MAX_LENGTH:
                yield f"{place} has {len(node.name)} characters; the most are {MAX_LENGTH}"
            if not TEST_NAME.fullmatch(node.name):
                yield f"{place} does not match {TEST_NAME.pattern}"


def main() -> None:
    """Print the findings, and exit with 1 if there are any."""
    lines = [line for path in test_files() for line in findings(path)]
    sys.exit("\n".join(lines) if lines else 0)


if __name__ == "__main__":
    main()
