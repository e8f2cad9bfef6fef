"""The main loop of the server's main process."""

from unittest.mock import Mock

from todo_project.server import supervisor
from todo_project.server.supervisor import MainLoopWakeup, Wakeup


def test_main_loop_ends_after_stop_whose_event_is_cleared(monkeypatch):
    """Granian clears the event when it begins to replace workers."""
    monkeypatch.setattr(supervisor, "UPKEEP_INTERVAL", 0)
    server = Mock(wrks=[], stopping=Wakeup(), upkeep=Mock(side_effect=TimeoutError))
    event = MainLoopWakeup(server)
    server.stopping.set()
    event.set()
    event.clear()
    assert event.wait()
