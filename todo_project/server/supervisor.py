"""Run granian's main process and workers with other sockets, other signal handlers and another stop.

docs/decisions/0015-stop.md gives the reasons.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from granian import _signals
from granian.log import logger
from granian.net import SocketHolder
from granian.server import MPServer, mp

from todo_project.server import SIGNALS, STOP_SECONDS
from todo_project.server.write_ahead_log import fold_in

#: Whether ``nohup`` started this process. Then the server outlives its terminal.
NOHUP = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

#: Signals within these seconds count as one, because ``make`` forwards a ``SIGTERM`` that the server also got.
REPEAT_SECONDS = 0.25

#: The main process folds SQLite's write-ahead log into the database, and replaces an ended exporter, at this interval.
UPKEEP_INTERVAL = 10.0


class Wakeup:
    """An event that a signal handler can set.

    ``threading.Event`` has a lock. A handler that interrupts the lock's owner would wait for the lock forever.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)

    def set(self) -> None:
        """Set the event."""
        with suppress(BlockingIOError):  # a full pipe means that the event is set
            os.write(self.writer, b"\0")

    def clear(self) -> None:
        """Unset the event."""
        with suppress(BlockingIOError):
            while os.read(self.reader, 1024):
                pass

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set, and tell whether it is set."""
        return bool(select.select([self.reader], [], [], timeout)[0])


class MainLoopWakeup(Wakeup):
    """An event for granian's main loop, whose wait also ends when a worker ends.

    Granian would start a thread for each worker that waits for its end.
    """

    def __init__(self, server: "Server") -> None:
        super().__init__()
        self.server = server

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set or a worker has ended, and keep the server in order meanwhile."""
        sentinels = [worker.inner.sentinel for worker in self.server.wrks]
        # Granian may clear the event of a stop that comes while it begins to replace workers.
        while not wait([self.reader, self.server.stopping.reader, *sentinels], UPKEEP_INTERVAL):
            self.server.upkeep()
        self.server.note_ended_workers()
        return True


class Exporter:
    """The process that serves the metrics, and the directory of the workers' files.

    ``todo_project/server/exporter.py`` is its program. Workers find the directory in the environment.

    Args:
        descriptor: the listening socket.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._make_directory()

    def _make_directory(self) -> None:
        self.directory = mkdtemp(prefix="todo-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = self.directory

    def replace_missing_directory(self) -> None:
        """Make a new directory if a cleaner of ``/tmp`` has removed it, because no worker starts without one."""
        if not Path(self.directory).is_dir():
            logger.error("Replacing the directory of the metrics, because somebody has removed it")
            self._make_directory()
            self.restart()

    def start(self) -> None:
        """Start the process in a session of its own, so that signals to the server's group do not end it."""
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "todo_project.server.exporter", str(self.descriptor)],
            stdin=subprocess.PIPE,
            pass_fds=[self.descriptor],
            start_new_session=True,
            # A scrape of an unavailable database must not wait for it.
            env={**os.environ, "DB_START_TIMEOUT": "0"},
        )

    def has_ended(self) -> bool:
        """Tell whether the process has ended."""
        return self.process.poll() is not None

    def restart(self) -> None:
        """Replace the process, so that it runs the code of the new workers."""
        self._stop()
        self.start()

    def finish(self) -> None:
        """End the process, and remove the directory."""
        self._stop()
        rmtree(self.directory, ignore_errors=True)

    def _stop(self) -> None:
        self.process.kill()  # it has nothing to finish
        self.process.wait()
        self.process.stdin.close()  # type: ignore[union-attr]


class Server(MPServer):  # type: ignore[misc]  # granian is untyped
    """A granian server that listens on open sockets and stops in time.

    Attributes:
        descriptors: the sockets: one per worker, or one that all workers share.
        sqlite_file: the database file whose log the main process folds in; empty without SQLite.
        metrics_descriptor: the socket for the metrics; 0 without ``METRICS_PORT``.
    """

    descriptors: tuple[int, ...]
    sqlite_file: str
    metrics_descriptor: int

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.main_loop_interrupt = MainLoopWakeup(self)
        self.exporter = Exporter(self.metrics_descriptor) if self.metrics_descriptor else None
        if self.exporter:
            self.on_startup(self.exporter.start)
            self.on_reload(self.exporter.restart)
        self.on_shutdown(self._finish)
        self.stopping = Wakeup()
        self.stopped_at: float | None = None
        self.started: list[Any] = []

    def serve(self, *_: Any) -> None:
        """Serve the application of this project; granian would first look for it in the working directory.

        ``MPServer.serve`` is skipped, because it only warns of more threads than processors. Here most threads wait.
        """
        super(MPServer, self).serve(target_loader=load_application, wrap_loader=False)

    def _init_shared_socket(self) -> None:
        """Open no socket, and unblock the signals, because granian has just set its handlers."""
        self._sso = None
        signal.signal(signal.SIGUSR1, self.stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _drop_shared_socket(self) -> None:
        """Close the main process's sockets, so that the workers' sockets are the last ones."""
        for descriptor in self.descriptors:
            os.close(descriptor)

    def signal_handler_interrupt(self, *_: object) -> None:
        """Stop. On a second signal, kill the workers without waiting for their requests."""
        if self.stopped_at is not None and time.monotonic() - self.stopped_at > REPEAT_SECONDS:
            for worker in self.started:
                worker.kill()
        self.stop()

    def stop(self, *_: object) -> None:
        """End the main loop."""
        if self.stopped_at is not None:
            return
        self.stopped_at = time.monotonic()
        self.interrupt_signal = True
        self.stopping.set()
        self.main_loop_interrupt.set()

    def upkeep(self) -> None:
        """Fold in the write-ahead log, and replace an exporter that has ended."""
        fold_in(self.sqlite_file)
        if self.exporter and self.exporter.has_ended():
            logger.error("Replacing the exporter of the metrics, because it has ended")
            self.exporter.start()

    def note_ended_workers(self) -> None:
        """Let granian replace the workers that have ended."""
        for worker in self.wrks:
            if not (worker.is_alive() or self.stopping.wait(0)):
                logger.error("Unexpected exit from worker-%s", worker.idx + 1)
                self.interrupt_children.append(worker.idx)

    def _finish(self) -> None:
        """Leave a complete database file, and exit with 0 after a stop."""
        fold_in(self.sqlite_file, timeout=1)
        if self.exporter:
            self.exporter.finish()
        if self.stopped_at is not None:
            self.interrupt_children.clear()

    def _start_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:
        """Start a worker with blocked signals, because the worker handles them only after ``handle_signals``."""
        descriptor = self.descriptors[idx % len(self.descriptors)]
        self._shd = SocketHolder(descriptor, uds=False, backlog=self.backlog)
        if self.exporter:
            self.exporter.replace_missing_directory()
        worker = self._spawn_worker(idx, target, callback_loader)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        worker.inner.start()
        logger.info("Spawning worker-%s with PID: %s", idx + 1, worker.inner.pid)
        self.started = [*(other for other in self.started if other.is_alive()), worker]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return worker

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        self.wrks = [self._start_worker(idx, spawn_target, target_loader) for idx in range(self.workers)]

    def _respawn_workers(self, workers: Iterable[int], spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        """Replace workers in turn. A stop interrupts the replacement, and then stops the old worker too."""
        for idx in workers:
            logger.info("Replacing worker-%s", idx + 1)
            self.respawned_wrks[idx] = time.monotonic()
            old = self.wrks[idx]
            self.wrks[idx] = self._start_worker(idx, spawn_target, target_loader)
            if not self.stopping.wait(delay):
                old.terminate()
                wait([old.inner.sentinel, self.stopping.reader], self.workers_kill_timeout)
            if self.stopping.wait(0):
                self.wrks.append(old)
                return
            old.kill()
            old.join()

    def _stop_workers(self) -> None:
        """Let the workers finish their requests, and kill workers that take too long."""
        deadline = time.monotonic() + self.workers_kill_timeout
        for worker in self.wrks:
            worker.terminate()
        for worker in self.wrks:
            if not wait([worker.inner.sentinel], max(0, deadline - time.monotonic())):
                logger.warning("Killing worker-%s, because its requests take too long", worker.idx + 1)
                worker.kill()
                wait([worker.inner.sentinel])
            logger.info("Stopped worker-%s", worker.idx + 1)
        self.wrks.clear()

    @staticmethod
    def _spawn_wsgi_worker(*args: Any) -> None:
        """Run a worker in its own process. The worker closes its socket when it stops."""
        (_, own_socket), _ = args[3]
        for descriptor in {*Server.descriptors} - {own_socket.get_fd()}:
            os.close(descriptor)
        start_signal_threads()
        if not Server.sqlite_file:
            park_threads()
        MPServer._spawn_wsgi_worker(*args)  # noqa: SLF001


def load_application() -> Any:
    """Import the application, in a worker."""
    from todo_project.wsgi import application

    return application


def park_threads() -> None:
    """Run this worker's requests by a ``ParkingRunner``; granian has no hook of its own after a response.

    At least two threads run requests, so that one computes while another waits for the database.
    """
    from django.conf import settings

    from todo_project.server.parking import ParkingRunner

    make_callback = mp._wsgi_call_wrap  # noqa: SLF001

    def make_runner(*options: Any) -> ParkingRunner:
        runner = ParkingRunner(make_callback(*options), max(2, settings.MAX_CONCURRENT_PER_USER))
        runner.start()
        return runner

    mp._wsgi_call_wrap = make_runner  # noqa: SLF001


def start_signal_threads() -> None:
    """Handle this worker's signals in a thread, and keep them blocked in all others.

    The kernel may give the second of two signals to any thread. Python's handlers run in the main thread only, and
    nothing would wake that thread. Also, granian's handler blocks forever if it runs twice.
    """
    parent = parent_process()
    handlers: list[Callable[[int, None], None]] = []
    _signals.set_main_signals = handlers.append
    threading.Thread(target=handle_signals, args=(parent, handlers), daemon=True).start()
    threading.Thread(target=stop_without_parent, args=(parent,), daemon=True).start()


def handle_signals(parent: Any, handlers: list[Callable[[int, None], None]]) -> None:
    """Stop this worker on ``SIGTERM``, and the server on ``SIGHUP``.

    A terminal that closes sends ``SIGHUP`` to the workers too. An operator sends it to the main process alone.
    """
    while signal.sigwait({signal.SIGHUP, signal.SIGTERM}) == signal.SIGHUP:
        if not NOHUP:
            os.kill(parent.pid, signal.SIGUSR1)
    if not handlers:
        os._exit(0)  # the worker serves no request yet
    handlers[0](signal.SIGTERM, None)


def stop_without_parent(parent: Any) -> None:
    """Stop this worker when the main process was killed, and end the requests that take too long."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(1)
