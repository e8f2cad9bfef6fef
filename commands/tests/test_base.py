"""The shared parts of commands: the size of a batch, and numbers in sentences."""

import pytest

from commands.base import format_count
from testing.commands import failure, run_command

BATCH_COMMANDS = {
    "assign_tasks": ["--from=alice", "--to=bob"],
    "export_tasks": [],
    "import_tasks": ["-"],
    "purge_idempotency_keys": [],
    "purge_trash": [],
    "seed_tasks": ["--count=1"],
    "verify_tasks": [],
}


@pytest.mark.parametrize("command", BATCH_COMMANDS)
@pytest.mark.parametrize("size", ["0", "10001", "-1", "x", ""])
def test_batch_size_out_of_range_refused(command, size):
    result = run_command(command, *BATCH_COMMANDS[command], f"--batch-size={size}")
    assert result == failure("Error: argument --batch-size: must be a whole number from 1 to 10000", 1)


@pytest.mark.parametrize(("number", "text"), [(0, "0 tasks"), (1, "1 task"), (2, "2 tasks"), (10_000, "10000 tasks")])
def test_format_count_uses_singular_for_1_only(number, text):
    assert format_count(number, "task") == text
