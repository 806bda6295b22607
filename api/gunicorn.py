"""gunicorn's configuration: gevent, psycopg2 that yields to it, and an end that lets held requests go.

Address, number of processes and the like come from the command line of whoever starts it.
"""

from __future__ import annotations

from typing import Any

from psycogreen.gevent import patch_psycopg

BACKGROUND = "orchestrator-background"
worker_class = "api.gunicorn_worker.ProblemWorker"
control_socket_disable = True
keepalive = 5
"""Seconds that a connection may be silent between two requests, or in the middle of a request's head."""


def post_fork(_server: Any, _worker: Any) -> None:
    """Make psycopg2 wait through gevent, before anything connects."""
    patch_psycopg()


def post_worker_init(worker: Any) -> None:
    """Let the background see when this worker has been told to stop."""
    worker.wsgi.extensions[BACKGROUND].watch(lambda: not worker.alive)


def worker_exit(_server: Any, worker: Any) -> None:
    """Stop the background of a worker that ends."""
    background = worker.wsgi.extensions.get(BACKGROUND) if worker.wsgi is not None else None
    if background is not None:
        background.stop()
