"""Report bad names of tests, and long docstrings: ``python -m testing.check_test_names``."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_LENGTH = 60
MAX_DOCSTRING_LINE = 100
TEST_NAME = re.compile(r"test_[a-z0-9_]+")
#: The virtual environments, and the packages of Node.
EXCLUDED = re.compile(r"\.venv|node_modules")


def python_files() -> list[Path]:
    """Return the Python files of this repository."""
    return [path for path in sorted(ROOT.rglob("*.py")) if not EXCLUDED.search(str(path.relative_to(ROOT)))]


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each bad name of a test, and each long first line of a docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
            first_line, *_ = (ast.get_docstring(node) or "").splitlines() or [""]
            if len(first_line) > MAX_DOCSTRING_LINE:
                yield f"{place}: the first line of the docstring has more than {MAX_DOCSTRING_LINE} characters"
        if path.name.startswith("test_") and isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            if len(node.name) > MAX_LENGTH:
                yield f"{place}: {node.name} has {len(node.name)} characters; the most are {MAX_LENGTH}"
            if not TEST_NAME.fullmatch(node.name):
                yield f"{place}: {node.name} does not match {TEST_NAME.pattern}"


def main() -> None:
    """Print the findings, and exit with 1 if there are any."""
    lines = [line for path in python_files() for line in findings(path)]
    sys.exit("\n".join(lines) if lines else 0)


if __name__ == "__main__":
    main()
