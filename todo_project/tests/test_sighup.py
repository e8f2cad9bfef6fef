"""A ``SIGHUP`` during the start of the server, with and without a terminal."""

import pytest

from testing.python_processes import json_output_of

HOLD = """
import json, os, signal
from todo_project.server import hold_sighup
os.setsid()
if {has_terminal}:
    controller, terminal = os.openpty()
    os.open(os.ttyname(terminal), os.O_RDWR)
hold_sighup()
print(json.dumps(signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, [])))
"""


@pytest.mark.once
@pytest.mark.parametrize("has_terminal", [False, True])
def test_sighup_waits_unless_a_terminal_can_close(has_terminal):
    assert json_output_of(HOLD.format(has_terminal=has_terminal)) is not has_terminal
