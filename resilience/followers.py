"""An app that follows the change feed, and finds what it has missed."""

from threading import Event, Thread
from typing import Any, Self

from testing.api_clients import RecordingClient

PATH = "/api/tasks/changes"


class Follower:
    """An app with a copy of the tasks, which a thread keeps up to date until the ``with`` block ends.

    After the block the follower has read the feed to its end.
    """

    def __init__(self, port: int) -> None:
        self.client = RecordingClient(port)
        self.tasks: dict[str, Any] = {}
        self.state: str | None = None
        self.expired = 0
        self.pages = 0
        self.stopped = Event()
        self.thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()

    def _run(self) -> None:
        while not self.stopped.is_set():
            self.read_page()
        self.read_to_end()

    def read_to_end(self) -> None:
        """Read pages until no change is left."""
        while self.read_page():
            pass

    def read_page(self) -> bool:
        """Read and apply a page, and tell whether there is more; after a failure there is."""
        path = f"{PATH}?since={self.state}" if self.state else PATH
        answer = self.client.send("GET", path)
        if answer.status == 410:
            self.expired += 1
            self.state, self.tasks = None, {}
        if answer.status != 200:
            return True
        for change in answer.body["changes"]:
            self._apply(change)
        self.state = answer.body["state"]
        self.pages += 1
        return bool(answer.body["more"])

    def _apply(self, change: dict[str, Any]) -> None:
        if change["state"] == "removed":
            self.tasks.pop(change["id"], None)
        elif change["task"]["version"] >= self.tasks.get(change["id"], change["task"])["version"]:
            self.tasks[change["id"]] = change["task"]

    def close(self) -> None:
        """Close the connection."""
        self.client.connection.close()

    def missed(self) -> list[str]:
        """Return the ids of tasks that differ from the server's."""
        server = {
            task["id"]: task
            for path in ("/api/tasks", "/api/tasks/trash")
            for task in self.client.send("GET", path).body
        }
        self.close()
        return [id_ for id_ in server.keys() | self.tasks.keys() if server.get(id_) != self.tasks.get(id_)]
