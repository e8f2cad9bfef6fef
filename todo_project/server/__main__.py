"""Run granian on open sockets.

``python -m todo_project.server DESCRIPTOR,… SQLITE_FILE METRICS_DESCRIPTOR OPTION…``

Granian's command can only listen on sockets that it opens itself
(https://github.com/emmett-framework/granian/issues/786).
"""

import multiprocessing
import sys

from granian import cli

from todo_project.server.supervisor import Server

if __name__ == "__main__":
    Server.descriptors = tuple(map(int, sys.argv.pop(1).split(",")))
    Server.sqlite_file = sys.argv.pop(1)
    Server.metrics_descriptor = int(sys.argv.pop(1) or 0)
    multiprocessing.set_start_method("fork")  # so that workers inherit the sockets
    cli.Server = Server
    cli.entrypoint()
